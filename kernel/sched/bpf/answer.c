// SPDX-License-Identifier: GPL-2.0
/*
 * Makes of the answers of policies what EEVDF takes as input, within bounds.
 *
 * - A wakeup's answer is one of enum preempt_wakeup_action, which an eligible wakee
 *   with a shorter slice or a fork has without a policy.
 * - The size of a request is between 0.1 ms and max_slice_ns, as sched_setattr()
 *   allows, whether it is said when the request begins or grows while it is served.
 * - A request may end early.
 *
 * EEVDF does the rest: who is picked, and what each task owes or is owed. Nothing
 * of that is kept here. What a granted request lets a task run too much is a debt
 * of at most its size, -r_max < lag. That must not be forgiven: entity_lag() limits
 * debts by the largest slice of the rq, so a slice stays as large as the debt is
 * until that is paid, see __bpf_sched_slice().
 */

#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/time64.h>
#include <trace/events/bpf_sched.h>

#include "../sched.h"
#include "ask.h"
#include "hooks.h"

/* The shortest request, as of sched_setattr(). */
#define MIN_SLICE_NS	(100 * NSEC_PER_USEC)

/* How many of those who wait are looked at. */
#define MAX_LOOKS	32

static_assert(BPF_SCHED_WAKE_FORK == WF_FORK);
static_assert(BPF_SCHED_WAKE_SYNC == WF_SYNC);
static_assert(BPF_SCHED_WAKE_MIGRATED == WF_MIGRATED);

const char * const bpf_sched_bound_names[BPF_SCHED_NR_BOUNDS] = {
#define BPF_SCHED_BOUND(bound) #bound,
	BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
};

/* An answer is not obeyed, or not to the letter. */
static void overrule(const struct bpf_sched_call *call, enum bpf_sched_hook hook,
		     enum bpf_sched_bound bound, int answer)
{
	this_cpu_inc(call->counters->overruled[bound]);
	trace_bpf_sched_overruled(call->this, bpf_sched_hook_names[hook],
				  bpf_sched_bound_names[bound], answer);
}

/* Nanoseconds of service of @se in virtual time and back, see calc_delta_fair(). */
static u64 to_virtual(const struct sched_entity *se, u64 ns)
{
	return mul_u64_u64_div_u64(ns, NICE_0_LOAD, se->h_load.weight);
}

static u64 to_service(const struct sched_entity *se, u64 virtual)
{
	return mul_u64_u64_div_u64(virtual, se->h_load.weight, NICE_0_LOAD);
}

/*
 * Would @p preempt rq->donor without a policy? What wakeup_preempt_fair() finds
 * after the place of the question, with the default features: the pick is @p if no
 * eligible task has an earlier deadline and rq->donor is not protected.
 */
static bool would_preempt(struct rq *rq, struct task_struct *p, u64 wake_flags)
{
	struct sched_entity *curr = &rq->donor->se, *se = &p->se, *first;
	struct cfs_rq *cfs_rq = &rq->cfs;
	int looks = MAX_LOOKS;

	if (!entity_eligible(cfs_rq, se))
		return false;
	if (sched_feat(PREEMPT_SHORT) && se->slice < curr->slice)
		return true;
	if (wake_flags & WF_FORK)
		return false;
	if (curr->on_rq && entity_eligible(cfs_rq, curr) &&
	    ((s64)(curr->vruntime - curr->vprot) < 0 || (s64)(curr->deadline - se->deadline) < 0))
		return false;

	for (first = __pick_first_entity(cfs_rq); first && first != se && looks; looks--) {
		struct rb_node *next = rb_next(&first->run_node);

		if (entity_eligible(cfs_rq, first))
			return false;
		first = next ? rb_entry(next, struct sched_entity, run_node) : NULL;
	}

	return first == se;
}

static void shadow_wakeup(const struct bpf_sched_call *call, enum bpf_sched_hook hook,
			  struct rq *rq, int ret, struct task_struct *p, u64 wake_flags)
{
	if (ret > 0 && !entity_eligible(&rq->cfs, &p->se))
		overrule(call, hook, BPF_SCHED_BOUND_eligible, ret);
	else if ((ret > 0) != would_preempt(rq, p, wake_flags))
		this_cpu_inc(call->counters->differ);
}

void bpf_sched_shadow_cfs_check_preempt_wakeup(const struct bpf_sched_call *call,
					       struct rq *rq, int ret, struct task_struct *curr,
					       struct task_struct *p, u64 wake_flags)
{
	shadow_wakeup(call, BPF_SCHED_cfs_check_preempt_wakeup, rq, ret, p, wake_flags);
}

void bpf_sched_shadow_cfs_wakeup_preempt_entity(const struct bpf_sched_call *call,
						struct rq *rq, int ret, struct sched_entity *curr,
						struct sched_entity *se, u64 wake_flags)
{
	shadow_wakeup(call, BPF_SCHED_cfs_wakeup_preempt_entity, rq, ret, task_of(se), wake_flags);
}

enum preempt_wakeup_action __bpf_sched_wakeup(struct rq *rq, struct task_struct *p,
					      int wake_flags)
{
	enum bpf_sched_hook hook = BPF_SCHED_cfs_check_preempt_wakeup;
	struct task_struct *donor = rq->donor;
	struct bpf_sched_whom whom = bpf_sched_whom(rq, p, donor);
	const struct bpf_sched_call *call;
	int ret = 0;

	lockdep_assert_rq_held(rq);

	if (bpf_sched_hook_enabled(cfs_check_preempt_wakeup))
		ret = bpf_sched_ask_cfs_check_preempt_wakeup(&call, rq, whom,
							     donor, p, wake_flags);
	if (!ret && bpf_sched_hook_enabled(cfs_wakeup_preempt_entity)) {
		hook = BPF_SCHED_cfs_wakeup_preempt_entity;
		ret = bpf_sched_ask_cfs_wakeup_preempt_entity(&call, rq, whom,
							      &donor->se, &p->se, wake_flags);
	}

	if (likely(!ret))
		return PREEMPT_WAKEUP_PICK;
	if (ret < 0)
		return PREEMPT_WAKEUP_NONE;

	if (!entity_eligible(&rq->cfs, &p->se)) {
		overrule(call, hook, BPF_SCHED_BOUND_eligible, ret);
		return PREEMPT_WAKEUP_PICK;
	}

	/* The caller is about to do this lazily. */
	if (ret == BPF_SCHED_PREEMPT_NOW)
		resched_curr(rq);

	return PREEMPT_WAKEUP_SHORT;
}

/* What the policies say of the request of @se. */
static int ask_tick(const struct bpf_sched_call **call, struct rq *rq,
		    struct sched_entity *se, unsigned long delta_exec)
{
	struct task_struct *p = task_of(se);

	return bpf_sched_ask_cfs_check_preempt_tick(call, rq, bpf_sched_whom(rq, p, p),
						    se, delta_exec);
}

/* Does it matter what is said of the request of @se, which is rq->donor's? */
static bool is_open(struct rq *rq, struct sched_entity *se)
{
	struct task_struct *p = task_of(se);

	/* Nobody waits: one that is still queued, its dequeue delayed, does not. */
	if (rq->cfs.h_nr_runnable <= 1)
		return false;

	/* About to sleep or, under proxy execution, blocked; see block_task(). */
	if (READ_ONCE(p->__state) != TASK_RUNNING)
		return false;

	/* SCHED_IDLE gives way to all others: not a question for a policy. */
	if (task_has_idle_policy(p))
		return false;

	/* The pick is to come, and decides. */
	return !test_tsk_need_resched(rq->curr) &&
	       !test_tsk_thread_flag(rq->curr, TIF_NEED_RESCHED_LAZY);
}

/*
 * What is in the way of an answer to the tick, or BPF_SCHED_NR_BOUNDS. @size is what
 * the request would have to grow to.
 */
static enum bpf_sched_bound tick_bound(const struct bpf_sched_call *call,
				       const struct sched_entity *se,
				       unsigned long delta_exec, int ret, u64 size)
{
	if (ret > 0)
		return delta_exec < MIN_SLICE_NS ? BPF_SCHED_BOUND_short : BPF_SCHED_NR_BOUNDS;
	if (se->custom_slice)
		return BPF_SCHED_BOUND_custom;
	if (call->delegated)
		return BPF_SCHED_BOUND_delegated;
	if (size > READ_ONCE(bpf_sched_max_slice_ns.val))
		return BPF_SCHED_BOUND_slice;

	return BPF_SCHED_NR_BOUNDS;
}

/*
 * The largest credit that one of those who wait for @se has when its turn comes, if
 * @se stops now: it waits for those with an earlier deadline too, and V moves on from
 * @average. Who is not looked at counts as if it was as heavy as @se.
 */
static u64 largest_credit(struct rq *rq, const struct sched_entity *se, u64 average)
{
	struct cfs_rq *cfs_rq = &rq->cfs;
	u64 weight = ((u64)cfs_rq->sum_weight << cfs_rq->sum_shift) + se->h_load.weight;
	struct rb_node *node = rb_first_cached(&cfs_rq->tasks_timeline);
	int looks = MAX_LOOKS;
	u64 largest = 0;
	s64 credit;

	for (; node && looks; node = rb_next(node), looks--) {
		const struct sched_entity *waiter = rb_entry(node, struct sched_entity, run_node);

		credit = average - waiter->vruntime;
		if (credit <= 0)
			continue;
		largest = max(largest, to_service(waiter, credit));
		average += mul_u64_u64_div_u64(max(waiter->slice, TICK_NSEC), NICE_0_LOAD, weight);
	}
	if (node) {
		credit = average - __pick_root_entity(cfs_rq)->min_vruntime;
		if (credit > 0)
			largest = max(largest, to_service(se, credit));
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

void bpf_sched_shadow_cfs_check_preempt_tick(const struct bpf_sched_call *call,
					     struct rq *rq, int ret, struct sched_entity *se,
					     unsigned long delta_exec)
{
	const enum bpf_sched_hook hook = BPF_SCHED_cfs_check_preempt_tick;
	bool over = bpf_sched_is_over(se, se->vruntime);
	u64 end = se->vruntime + to_virtual(se, TICK_NSEC);
	enum bpf_sched_bound bound;

	/* A request that goes on does not grow, and one that is over need not end. */
	if (over ? ret > 0 : ret < 0)
		return;

	bound = tick_bound(call, se, delta_exec, ret, grown_size(rq, se, end));
	if (bound != BPF_SCHED_NR_BOUNDS)
		overrule(call, hook, bound, ret);
	else
		this_cpu_inc(call->counters->differ);
}

/* Let the request of @se end with what has been served. */
static void end_request(struct sched_entity *se)
{
	/* update_deadline() takes this for a request that is used up. */
	se->deadline = se->vruntime;
	se->vprot = se->vruntime;
}

void __bpf_sched_request_over(struct rq *rq, struct sched_entity *se)
{
	const enum bpf_sched_hook hook = BPF_SCHED_cfs_check_preempt_tick;
	const struct bpf_sched_call *call;
	enum bpf_sched_bound bound;
	unsigned long delta_exec;
	u64 end, size;
	int ret;

	lockdep_assert_rq_held(rq);

	if (!is_open(rq, se))
		return;

	delta_exec = se->sum_exec_runtime - se->prev_sum_exec_runtime;
	ret = ask_tick(&call, rq, se, delta_exec);
	if (likely(!ret))
		return;

	end = se->vruntime + to_virtual(se, TICK_NSEC);
	size = grown_size(rq, se, end);
	bound = tick_bound(call, se, delta_exec, ret, size);
	if (bound != BPF_SCHED_NR_BOUNDS) {
		overrule(call, hook, bound, ret);
		return;
	}

	if (ret > 0) {
		end_request(se);
		return;
	}

	se->slice = size;
	if ((s64)(end - se->deadline) > 0)
		se->deadline = end;
	se->vprot = end;
}

void __bpf_sched_tick(struct rq *rq, struct sched_entity *se)
{
	const enum bpf_sched_hook hook = BPF_SCHED_cfs_check_preempt_tick;
	const struct bpf_sched_call *call;
	enum bpf_sched_bound bound;
	unsigned long delta_exec;
	s64 pending;
	int ret;

	lockdep_assert_rq_held(rq);

	/* If it is over when this is accounted, bpf_sched_request() asks. */
	pending = max_t(s64, rq_clock_task(rq) - se->exec_start, 0);
	if (bpf_sched_is_over(se, se->vruntime + to_virtual(se, pending)) || !is_open(rq, se))
		return;

	delta_exec = se->sum_exec_runtime - se->prev_sum_exec_runtime + pending;
	ret = ask_tick(&call, rq, se, delta_exec);
	/* It goes on as it is. */
	if (ret <= 0)
		return;

	bound = tick_bound(call, se, delta_exec, ret, 0);
	if (bound != BPF_SCHED_NR_BOUNDS)
		overrule(call, hook, bound, ret);
	else
		end_request(se);
}

/* The size of a request that an answer @ret makes of the usual one, @slice. */
static u64 bounded_slice(const struct bpf_sched_call *call, int ret, u64 slice)
{
	const enum bpf_sched_hook hook = BPF_SCHED_cfs_slice;
	u64 size;

	if (ret < 0) {
		overrule(call, hook, BPF_SCHED_BOUND_slice, ret);
		return slice;
	}

	size = clamp_t(u64, ret, MIN_SLICE_NS, READ_ONCE(bpf_sched_max_slice_ns.val));
	if (call->delegated && size > slice) {
		overrule(call, hook, BPF_SCHED_BOUND_delegated, ret);
		return slice;
	}
	if (size != ret)
		overrule(call, hook, BPF_SCHED_BOUND_slice, ret);

	return size;
}

void bpf_sched_shadow_cfs_slice(const struct bpf_sched_call *call, struct rq *rq, int ret,
				struct sched_entity *se, u64 slice)
{
	if (bounded_slice(call, ret, slice) != slice)
		this_cpu_inc(call->counters->differ);
}

u64 __bpf_sched_slice(struct rq *rq, struct sched_entity *se, u64 slice, bool place)
{
	struct task_struct *p = task_of(se);
	const struct bpf_sched_call *call;
	s64 debt;
	int ret;

	lockdep_assert_rq_held(rq);

	/* It is no new request but the rest of one, see place_entity(). */
	if (place && sched_feat(PLACE_REL_DEADLINE) && se->rel_deadline)
		return se->slice;

	ret = bpf_sched_ask_cfs_slice(&call, rq, bpf_sched_whom(rq, p, p), se, slice);
	if (unlikely(ret))
		slice = bounded_slice(call, ret, slice);
	if (likely(se->slice <= slice))
		return slice;

	/* The request that ends was a larger one: is that paid? */
	debt = place ? -se->vlag : (s64)(se->vruntime - avg_vruntime(&rq->cfs));
	if (debt <= 0)
		return slice;

	return clamp(to_service(se, debt), slice, se->slice);
}

void __bpf_sched_yield(struct sched_entity *se)
{
	u64 end = se->vruntime + to_virtual(se, sysctl_sched_base_slice);

	if (!se->custom_slice && (s64)(se->deadline - end) > 0)
		se->deadline = end;
}
