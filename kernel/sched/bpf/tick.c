// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the slice of the current task goes on or ends, decided at the tick.
 * What a policy lets a task run beyond its slice is negative lag, as always.
 */

#include <linux/math64.h>
#include <linux/percpu.h>

#include "../sched.h"
#include "hooks.h"
#include "internal.h"

/**
 * struct tick_run - what happened since an entity was picked
 * @se: the entity
 * @exec_at_pick: its sum_exec_runtime when it was picked
 * @extended: its slice was extended
 * @kthread_woken: a kernel thread woke, and did not preempt it
 */
struct tick_run {
	const struct sched_entity *se;
	u64 exec_at_pick;
	bool extended;
	bool kthread_woken;
};

static DEFINE_PER_CPU(struct tick_run, runs);

/**
 * struct extend_round - extensions on a CPU until all that waited were served
 * @vruntime: V at the last extension; the round ends when all that wait are beyond it
 * @ns: for how long slices were extended
 *
 * EEVDF bounds lag by the slices that it knows when it picks. Entities that are
 * extended one after the other would pass over one that waits, again and again.
 */
struct extend_round {
	u64 vruntime;
	u64 ns;
};

static DEFINE_PER_CPU(struct extend_round, rounds);

/* Return the record of the current run of @se, the donor's entity on @rq. */
static struct tick_run *this_run(struct rq *rq, const struct sched_entity *se)
{
	struct tick_run *run = per_cpu_ptr(&runs, cpu_of(rq));

	if (run->se != se || run->exec_at_pick != se->prev_sum_exec_runtime)
		*run = (struct tick_run){ .se = se, .exec_at_pick = se->prev_sum_exec_runtime };

	return run;
}

void bpf_sched_kthread_woken(struct rq *rq)
{
	this_run(rq, &rq->donor->se)->kthread_woken = true;
}

static u64 to_virtual(const struct sched_entity *se, u64 ns)
{
	return bpf_sched_to_virtual(ns, se->h_load.weight);
}

/* The inverse of to_virtual() */
static u64 to_service(const struct sched_entity *se, u64 virtual)
{
	return mul_u64_u64_div_u64(virtual, se->h_load.weight, NICE_0_LOAD);
}

static bool is_before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

struct tick_call {
	struct rq *rq;
	struct sched_entity *se;
	/* vruntime of @se, with the time that is not accounted yet, and at the next tick */
	u64 vruntime, next_tick;
	unsigned long delta_exec;
};

/* Return true if a kernel thread waits for the current task of @rq. */
static bool kthread_waits(struct rq *rq, const struct tick_run *run)
{
	struct sched_entity *first = __pick_first_entity(&rq->cfs);

	return run->kthread_woken ||
	       (first && task_of(first)->flags & PF_KTHREAD && entity_eligible(&rq->cfs, first));
}

/* Return the slice of the current task if it lasts until the next tick. */
static u64 extended_slice(const struct tick_call *call)
{
	const struct sched_entity *se = call->se;
	s64 beyond = call->next_tick - se->deadline;

	return beyond > 0 ? se->slice + to_service(se, beyond) : se->slice;
}

/*
 * Return true if a slice that lasts until the next tick is too long: if it exceeds
 * max_slice_ns, or the negative lag does then, which may be from slices before, or all
 * extended slices of this round do; or if it ends after the deadline that the next in
 * line, which may have more weight, would have with a slice of max_slice_ns.
 */
static bool is_too_long(const struct tick_call *call)
{
	struct rb_node *root = call->rq->cfs.tasks_timeline.rb_root.rb_node;
	struct extend_round *round = per_cpu_ptr(&rounds, cpu_of(call->rq));
	u64 max = READ_ONCE(bpf_sched_max_slice_ns);
	const struct sched_entity *first = __pick_first_entity(&call->rq->cfs);
	u64 avg = avg_vruntime(&call->rq->cfs);
	struct sched_entity *se;

	se = rb_entry_safe(root, struct sched_entity, run_node);
	if (!se || !is_before(se->min_vruntime, round->vruntime) ||
	    is_before(avg, round->vruntime))
		round->ns = 0;

	return extended_slice(call) > max || round->ns + TICK_NSEC > max ||
	       is_before(avg + to_virtual(call->se, max), call->next_tick) ||
	       (first && is_before(first->vruntime + to_virtual(first, max), call->next_tick));
}

/* Return why a result is rejected, or BPF_SCHED_NR_REASONS. */
static enum bpf_sched_reason check_tick(const struct tick_call *call, int ret)
{
	if (ret > 0)
		return call->delta_exec < BPF_SCHED_MIN_SLICE_NS ? BPF_SCHED_SHORT :
								   BPF_SCHED_NR_REASONS;
	if (call->se->custom_slice)
		return BPF_SCHED_CUSTOM;
	if (is_too_long(call))
		return BPF_SCHED_SLICE;
	if (kthread_waits(call->rq, this_run(call->rq, call->se)))
		return BPF_SCHED_KTHREAD;

	return BPF_SCHED_NR_REASONS;
}

/* Let the slice and its protection last until the next tick. */
static void extend_slice(struct tick_call *call)
{
	struct extend_round *round = per_cpu_ptr(&rounds, cpu_of(call->rq));
	struct sched_entity *se = call->se;

	if (is_before(se->deadline, call->next_tick)) {
		se->slice = extended_slice(call);
		se->deadline = call->next_tick;
		bpf_sched_slice_set(call->rq, se->slice);
	}
	if (is_before(se->vprot, call->next_tick))
		se->vprot = call->next_tick;
	round->vruntime = avg_vruntime(&call->rq->cfs);
	round->ns += TICK_NSEC;
	this_run(call->rq, se)->extended = true;
}

/* Let the slice end: update_deadline() is about to find it used up. */
static void end_slice(struct sched_entity *se)
{
	se->deadline = se->vruntime;
	se->vprot = se->vruntime;
}

static __always_inline bool call_tick(const struct bpf_sched_ops *ops, struct cgroup *cgrp,
				      void *arg)
{
	const unsigned int hook = BPF_SCHED_HOOK(cfs_check_preempt_tick);
	struct tick_call *call = arg;
	enum bpf_sched_reason reason;
	int ret;

	ret = bpf_sched_call_op(ops, cfs_check_preempt_tick, call->se, call->delta_exec, cgrp);
	if (!ret)
		return false;

	reason = check_tick(call, ret);
	if (reason != BPF_SCHED_NR_REASONS)
		return bpf_sched_reject(ops, hook, reason, ret);
	if (!bpf_sched_apply(ops, hook, true))
		return false;

	if (ret < 0)
		extend_slice(call);
	else
		end_slice(call->se);

	return true;
}

/* Return true if it matters whether the slice of @p, the donor, goes on. */
static bool is_contended(struct rq *rq, struct task_struct *p)
{
	/* A pick is to come. */
	if (test_tsk_need_resched(rq->curr) ||
	    test_tsk_thread_flag(rq->curr, TIF_NEED_RESCHED_LAZY))
		return false;

	/* About to sleep or, under proxy execution, blocked; see block_task(). */
	if (READ_ONCE(p->__state) != TASK_RUNNING)
		return false;

#ifdef CONFIG_SCHED_CORE
	/* Who runs is decided for the whole core. */
	if (sched_core_enabled(rq) && rq->core->core_cookie)
		return false;
#endif

	return rq->cfs.h_nr_runnable > 1 && !task_has_idle_policy(p);
}

bool __bpf_sched_tick(struct rq *rq, struct sched_entity *se, int queued)
{
	s64 pending = clamp_t(s64, rq_clock_task(rq) - se->exec_start, 0, NSEC_PER_SEC);
	struct task_struct *p = task_of(se);
	struct tick_call call = {
		.rq		= rq,
		.se		= se,
		.vruntime	= se->vruntime + to_virtual(se, pending),
		.delta_exec	= se->sum_exec_runtime - se->prev_sum_exec_runtime + pending,
	};

	lockdep_assert_rq_held(rq);

	if (!is_contended(rq, p))
		return false;

	call.next_tick = call.vruntime + to_virtual(se, TICK_NSEC);

	bpf_sched_call(rq, p, NULL, call_tick, &call);

	/* The hrtick is for the end that the slice had when @se was picked. */
	return queued && this_run(rq, se)->extended && is_before(call.vruntime, se->vprot);
}
