// SPDX-License-Identifier: GPL-2.0
/*
 * How long requests are, by the answers of policies: between 0.1 ms and max_slice_ns,
 * as sched_setattr() allows, whether that is said when a request begins or it grows
 * while it is served; and it may end early.
 *
 * EEVDF does the rest: who is picked, and what each task owes or is owed. Nothing
 * of that is kept here. What a granted request lets a task run too much is a debt
 * of at most its size, -r_max < lag, and the same is owed to others. That must not be
 * forgotten: entity_lag() limits lags by the largest slice of the rq, so a slice covers
 * the lag of its task, see covering_size().
 */

#include <linux/math64.h>
#include <linux/time64.h>

#include "../sched.h"
#include "ask.h"
#include "hooks.h"

/* The shortest request, as of sched_setattr(). */
#define MIN_SLICE_NS	(100 * NSEC_PER_USEC)

/* How many of those who wait largest_credit() looks at. */
#define MAX_LOOKS	32

/* Nanoseconds of service of @se in virtual time and back, see calc_delta_fair(). */
static u64 to_virtual(const struct sched_entity *se, u64 ns)
{
	return mul_u64_u64_div_u64(ns, NICE_0_LOAD, se->h_load.weight);
}

static u64 to_service(const struct sched_entity *se, u64 virtual)
{
	return mul_u64_u64_div_u64(virtual, se->h_load.weight, NICE_0_LOAD);
}

/* Does it matter what is said of the request of @se, which is rq->donor's? */
static bool is_open(struct rq *rq, struct sched_entity *se)
{
	struct task_struct *p = task_of(se);

	/* The pick is to come, and decides. */
	if (test_tsk_need_resched(rq->curr) ||
	    test_tsk_thread_flag(rq->curr, TIF_NEED_RESCHED_LAZY))
		return false;

	/* About to sleep or, under proxy execution, blocked; see block_task(). */
	if (READ_ONCE(p->__state) != TASK_RUNNING)
		return false;

	/* Nobody waits: one that is still queued, its dequeue delayed, does not. */
	if (rq->cfs.h_nr_runnable <= 1)
		return false;

	/* SCHED_IDLE gives way to all others: not a question for a policy. */
	return !task_has_idle_policy(p) && !bpf_sched_core_is_taken(rq);
}

/* The service that @se is owed at @average, if it is owed any. */
static u64 credit_of(const struct sched_entity *se, u64 average)
{
	s64 credit = average - se->vruntime;

	return credit > 0 ? to_service(se, credit) : 0;
}

/* The weight of all who wait on @cfs_rq. The sum that it has is rounded. */
static u64 waiting_weight(const struct cfs_rq *cfs_rq)
{
	return (u64)cfs_rq->sum_weight << cfs_rq->sum_shift;
}

/*
 * The largest credit that one of those who wait for @se may have when its turn comes, if
 * @se stops now. It waits for those with an earlier deadline, and V moves on meanwhile from
 * @average. And others who are owed something may run shortly and sleep: that is owed to
 * who remains then, by weight. Who is not looked at counts as if it was as heavy as @se.
 */
static u64 largest_credit(struct rq *rq, const struct sched_entity *se, u64 average)
{
	struct cfs_rq *cfs_rq = &rq->cfs;
	struct rb_node *node, *first = rb_first_cached(&cfs_rq->tasks_timeline);
	u64 weight = waiting_weight(cfs_rq) + se->h_load.weight;
	u64 credit, others, ahead = 0, all = 0, largest = 0;
	const struct sched_entity *waiter;
	s64 remaining = weight;
	int looks;

	for (node = first, looks = MAX_LOOKS; node && looks; node = rb_next(node), looks--) {
		waiter = rb_entry(node, struct sched_entity, run_node);
		all += credit_of(waiter, average);
		if (credit_of(waiter, average))
			remaining -= waiter->h_load.weight;
	}
	/* The sum of weights is rounded. */
	remaining = max_t(s64, remaining, se->h_load.weight);

	for (node = first, looks = MAX_LOOKS; node && looks; node = rb_next(node), looks--) {
		waiter = rb_entry(node, struct sched_entity, run_node);
		credit = credit_of(waiter, average);
		if (!credit)
			continue;
		others = mul_u64_u64_div_u64(all - credit, waiter->h_load.weight,
					     remaining + waiter->h_load.weight);
		largest = max(largest, credit_of(waiter, average + ahead) + others);
		ahead += mul_u64_u64_div_u64(max(waiter->slice, TICK_NSEC), NICE_0_LOAD, weight);
	}
	if (node) {
		s64 most = average + ahead - __pick_root_entity(cfs_rq)->min_vruntime;

		if (most > 0)
			largest = max(largest, to_service(se, most));
	}

	return largest;
}

/*
 * The size of the request of @se, which runs on @rq, if it is to last until @end, of
 * its virtual time, at least. It covers the debt that there is then: what exceeds the
 * largest slice would be forgiven when @se is reweighted or dequeued, see entity_lag().
 * And it covers the largest credit of those who wait, which they may have brought
 * along: nobody is owed more than the longest request.
 */
static u64 grown_size(struct rq *rq, const struct sched_entity *se, u64 end)
{
	u64 average = avg_vruntime(&rq->cfs), size = se->slice;
	s64 more = end - se->deadline;
	s64 lag = end - average;

	if (more > 0)
		size += to_service(se, more);
	if (lag > 0)
		size = max(size, to_service(se, lag));

	return max(size, largest_credit(rq, se, average));
}

/* What is in the way of a request that is to end, or BPF_SCHED_NR_BOUNDS. */
static enum bpf_sched_bound end_bound(unsigned long delta_exec)
{
	return delta_exec < MIN_SLICE_NS ? BPF_SCHED_BOUND_short : BPF_SCHED_NR_BOUNDS;
}

/* What is in the way of one that is to grow to @size, or BPF_SCHED_NR_BOUNDS. */
static enum bpf_sched_bound grow_bound(const struct bpf_sched_call *call,
				       const struct sched_entity *se, u64 size)
{
	if (se->custom_slice)
		return BPF_SCHED_BOUND_custom;
	if (call->delegated)
		return BPF_SCHED_BOUND_delegated;
	if (size > READ_ONCE(bpf_sched_max_slice_ns.val))
		return BPF_SCHED_BOUND_slice;

	return BPF_SCHED_NR_BOUNDS;
}

void
bpf_sched_shadow_cfs_check_preempt_tick(const struct bpf_sched_ask_cfs_check_preempt_tick *q,
					struct rq *rq, int ret)
{
	struct sched_entity *se = q->arg.curr;
	bool over = bpf_sched_is_over(se, se->vruntime);
	u64 end = se->vruntime + to_virtual(se, TICK_NSEC);
	enum bpf_sched_bound bound;

	/* A request that goes on does not grow, and one that is over need not end. */
	if (over ? ret > 0 : ret < 0)
		return;

	bound = over ? grow_bound(q->call, se, grown_size(rq, se, end)) :
		       end_bound(q->arg.delta_exec);
	if (bound != BPF_SCHED_NR_BOUNDS)
		bpf_sched_overrule(q->call, BPF_SCHED_cfs_check_preempt_tick, bound, ret);
	else
		this_cpu_inc(q->call->counters->differ);
}

/*
 * Let the request of @se end with what has been served. update_deadline() takes it for
 * one that is used up, and update_curr() does not ask once more.
 */
static void end_request(struct rq *rq, struct sched_entity *se)
{
	se->deadline = se->vruntime;
	se->vprot = se->vruntime;
	resched_curr_lazy(rq);
}

/* Let the request of @se grow to @size, and not be interrupted before @end. */
static void grow_request(struct sched_entity *se, u64 size, u64 end)
{
	se->slice = size;
	if ((s64)(end - se->deadline) > 0)
		se->deadline = end;
	se->vprot = end;
}

/* Do what the opinion @ret on a request, which is not zero, says. */
static noinline void end_or_grow(const struct bpf_sched_ask_cfs_check_preempt_tick *q,
				 int ret)
{
	struct sched_entity *se = q->arg.curr;
	struct rq *rq = task_rq(task_of(se));
	enum bpf_sched_bound bound;
	u64 end, size;

	if (ret > 0) {
		bound = end_bound(q->arg.delta_exec);
		if (bound == BPF_SCHED_NR_BOUNDS)
			end_request(rq, se);
	} else {
		end = se->vruntime + to_virtual(se, TICK_NSEC);
		size = grown_size(rq, se, end);
		bound = grow_bound(q->call, se, size);
		if (bound == BPF_SCHED_NR_BOUNDS)
			grow_request(se, size, end);
	}
	if (bound != BPF_SCHED_NR_BOUNDS)
		bpf_sched_overrule(q->call, BPF_SCHED_cfs_check_preempt_tick, bound, ret);
}

void __bpf_sched_request_over(struct rq *rq, struct sched_entity *se)
{
	struct bpf_sched_ask_cfs_check_preempt_tick q __uninitialized;
	struct task_struct *p = task_of(se);
	int ret;

	lockdep_assert_rq_held(rq);

	if (!is_open(rq, se))
		return;

	q.arg.curr = se;
	q.arg.delta_exec = se->sum_exec_runtime - se->prev_sum_exec_runtime;
	ret = bpf_sched_ask_cfs_check_preempt_tick(&q, bpf_sched_whom(rq, p, p));
	if (unlikely(ret))
		end_or_grow(&q, ret);
}

/*
 * The hrtick would reschedule, and who has had more than its share is not kept then. It
 * may be early, as it counts time that interrupts take: update_curr() asks about what is
 * used up only.
 */
static bool goes_on(struct rq *rq, struct sched_entity *se)
{
	u64 end;

	fair_sched_class.update_curr(rq);
	if (!is_open(rq, se))
		return false;

	end = se->vruntime + to_virtual(se, TICK_NSEC);
	if (!bpf_sched_is_over(se, se->vruntime) && (s64)(end - se->vprot) > 0)
		__bpf_sched_request_over(rq, se);

	return (s64)(end - se->vprot) <= 0;
}

bool __bpf_sched_tick(struct rq *rq, struct sched_entity *se, int queued)
{
	struct bpf_sched_ask_cfs_check_preempt_tick q __uninitialized;
	struct task_struct *p = task_of(se);
	s64 pending;
	int ret;

	lockdep_assert_rq_held(rq);

	if (queued)
		return goes_on(rq, se);

	/* If it is over when this is accounted, bpf_sched_request() asks. */
	pending = max_t(s64, rq_clock_task(rq) - se->exec_start, 0);
	if (bpf_sched_is_over(se, se->vruntime + to_virtual(se, pending)) || !is_open(rq, se))
		return false;

	q.arg.curr = se;
	q.arg.delta_exec = se->sum_exec_runtime - se->prev_sum_exec_runtime + pending;
	ret = bpf_sched_ask_cfs_check_preempt_tick(&q, bpf_sched_whom(rq, p, p));
	/* Else it goes on as it is. */
	if (unlikely(ret > 0))
		end_or_grow(&q, ret);

	return false;
}

/* The size of a request that an answer @ret makes of the usual one, @slice. */
static u64 bounded_slice(const struct bpf_sched_call *call, int ret, u64 slice)
{
	const enum bpf_sched_hook hook = BPF_SCHED_cfs_slice;
	u64 size;

	if (ret < 0) {
		bpf_sched_overrule(call, hook, BPF_SCHED_BOUND_slice, ret);
		return slice;
	}

	size = clamp_t(u64, ret, MIN_SLICE_NS, READ_ONCE(bpf_sched_max_slice_ns.val));
	if (call->delegated && size > slice) {
		bpf_sched_overrule(call, hook, BPF_SCHED_BOUND_delegated, ret);
		return slice;
	}
	if (size != ret)
		bpf_sched_overrule(call, hook, BPF_SCHED_BOUND_slice, ret);

	return size;
}

void bpf_sched_shadow_cfs_slice(const struct bpf_sched_ask_cfs_slice *q,
				struct rq *rq, int ret)
{
	if (bounded_slice(q->call, ret, q->arg.slice) != q->arg.slice)
		this_cpu_inc(q->call->counters->differ);
}

/* Is the virtual time @lag of @se more than @size? As to_service(), at once. */
static __always_inline bool exceeds(const struct sched_entity *se, s64 lag, u64 size)
{
	return lag * (s64)se->h_load.weight > (s64)(size * NICE_0_LOAD);
}

/*
 * A size that covers a lag of @service, @size at least: what is more than the largest slice
 * of an rq, and a tick, would be forgiven, or lost where @se comes to, see entity_lag().
 */
static u64 covering_size(u64 size, u64 service)
{
	return clamp(service, size, max(size, READ_ONCE(bpf_sched_max_slice_ns.val)));
}

/* The size of a request of @se, which is to be @slice if nobody says something else. */
static __always_inline u64 asked_slice(struct rq *rq, struct sched_entity *se, u64 slice)
{
	struct bpf_sched_ask_cfs_slice q __uninitialized;
	struct task_struct *p = task_of(se);
	int ret;

	lockdep_assert_rq_held(rq);

	q.arg.se = se;
	q.arg.slice = slice;
	ret = bpf_sched_ask_cfs_slice(&q, bpf_sched_whom(rq, p, p));
	if (unlikely(ret))
		return bounded_slice(q.call, ret, q.arg.slice);

	return q.arg.slice;
}

/*
 * A debt is of the request before. A credit is not covered here, as who is owed much is not
 * to have late deadlines.
 */
bool __bpf_sched_next_request(struct rq *rq, struct sched_entity *se)
{
	s64 debt;
	u64 size;

	if (se->custom_slice)
		return true;

	size = asked_slice(rq, se, se->slice);
	/* avg_vruntime() of update_deadline() has moved that to V. */
	debt = se->vruntime - rq->cfs.zero_vruntime;
	if (unlikely(exceeds(se, debt, size + TICK_NSEC)))
		size = covering_size(size, to_service(se, debt));
	if (size != se->slice) {
		se->slice = size;
		se->deadline = se->vruntime + to_virtual(se, size);
	}

	return true;
}

/*
 * Who sleeps does not want what it is owed: as a debt is, a credit is paid off meanwhile at
 * the rate at which @se would be served. It may be as large as the longest request, where
 * EEVDF has a base slice mostly, and if it comes and goes it moves the virtual time each
 * time, and others with it, who come and go themselves. What entity_lag() allows if nobody
 * has been granted more than the usual @slice is kept. On another CPU exec_start is zero, and
 * how long @se has slept is not known.
 */
static noinline void pay_credit(struct rq *rq, struct sched_entity *se, u64 slice)
{
	const struct sched_entity *curr = rq->cfs.curr;
	s64 asleep = rq_clock_task(rq) - se->exec_start;
	s64 least = to_virtual(se, slice + TICK_NSEC);
	u64 weight = waiting_weight(&rq->cfs) + se->h_load.weight;

	if (!se->exec_start || asleep <= 0)
		return;

	/* A minute suffices for all, and is no overflow. */
	asleep = min(asleep, 60LL * NSEC_PER_SEC);
	if (curr && curr->on_rq)
		weight += curr->h_load.weight;
	se->vlag -= mul_u64_u64_div_u64(asleep, NICE_0_LOAD, weight);
	se->vlag = max(se->vlag, least);
}

u64 __bpf_sched_place_slice(struct rq *rq, struct sched_entity *se, u64 slice)
{
	u64 size;

	/* No new request but the rest of one, see place_entity(), where it was moved. */
	if (sched_feat(PLACE_REL_DEADLINE) && se->rel_deadline)
		return exceeds(se, se->vlag, se->slice) ?
		       covering_size(se->slice, to_service(se, se->vlag)) : se->slice;

	if (unlikely(exceeds(se, se->vlag, slice + TICK_NSEC)) && !bpf_sched_core_is_taken(rq))
		pay_credit(rq, se, slice);
	size = asked_slice(rq, se, slice);
	/* A tick more each time that it sleeps would be owed for nothing. */
	if (unlikely(exceeds(se, se->vlag, size + TICK_NSEC)))
		return covering_size(size, to_service(se, se->vlag) - TICK_NSEC);
	if (unlikely(se->slice > size) && se->vlag < 0)
		return covering_size(size, to_service(se, -se->vlag));

	return size;
}

void __bpf_sched_yield(struct sched_entity *se)
{
	u64 end = se->vruntime + to_virtual(se, sysctl_sched_base_slice);

	if (!se->custom_slice && (s64)(se->deadline - end) > 0)
		se->deadline = end;
}
