// SPDX-License-Identifier: GPL-2.0
/* What a wakeup does to the current task. */

#include "../sched.h"
#include "hooks.h"
#include "internal.h"

static_assert(BPF_SCHED_WAKE_FORK == WF_FORK);
static_assert(BPF_SCHED_WAKE_TTWU == WF_TTWU);
static_assert(BPF_SCHED_WAKE_SYNC == WF_SYNC);
static_assert(BPF_SCHED_WAKE_MIGRATED == WF_MIGRATED);

struct wakeup_call {
	struct rq *rq;
	struct task_struct *p;
	int wake_flags;
	enum preempt_wakeup_action action;
};

static bool is_kthread(const struct task_struct *p)
{
	return p->flags & PF_KTHREAD;
}

/*
 * Check a result that is not 0 and convert it into a preempt_wakeup_action. Return
 * true unless the next policy has to be called.
 */
static noinline bool set_action(struct wakeup_call *call, const struct bpf_sched_ops *ops,
				unsigned int hook, int ret)
{
	/* A policy must not make a kernel thread wait. */
	if (ret < 0 && is_kthread(call->p))
		return bpf_sched_reject(ops, hook, BPF_SCHED_KTHREAD, ret);

	if (ret > 0 && !entity_eligible(&call->rq->cfs, &call->p->se))
		return bpf_sched_reject(ops, hook, BPF_SCHED_ELIGIBLE, ret);

	if (!bpf_sched_apply(ops, hook, true))
		return false;

	/* The caller is about to do this lazily. */
	if (ret == BPF_SCHED_PREEMPT_NOW)
		resched_curr(call->rq);
	call->action = ret < 0 ? PREEMPT_WAKEUP_NONE : PREEMPT_WAKEUP_SHORT;

	return true;
}

static __always_inline bool call_wakeup(const struct bpf_sched_ops *ops, struct cgroup *cgrp,
					void *arg)
{
	struct wakeup_call *call = arg;
	struct task_struct *curr = call->rq->donor;
	int ret;

	ret = bpf_sched_call_op(ops, cfs_check_preempt_wakeup, curr, call->p, call->wake_flags,
				cgrp);
	if (ret)
		return set_action(call, ops, BPF_SCHED_HOOK(cfs_check_preempt_wakeup), ret);

	ret = bpf_sched_call_op(ops, cfs_wakeup_preempt_entity, &curr->se, &call->p->se,
				cgrp);
	if (ret)
		return set_action(call, ops, BPF_SCHED_HOOK(cfs_wakeup_preempt_entity), ret);

	return false;
}

enum preempt_wakeup_action __bpf_sched_wakeup(struct rq *rq, struct task_struct *p,
					      int wake_flags)
{
	struct wakeup_call call = { rq, p, wake_flags, PREEMPT_WAKEUP_PICK };

	lockdep_assert_rq_held(rq);

	/* Not for a task that was migrated, or whose affinity or priority changed. */
	if (!(wake_flags & (WF_TTWU | WF_FORK)))
		return PREEMPT_WAKEUP_PICK;

	if (bpf_sched_applies(p) || bpf_sched_applies(rq->donor))
		bpf_sched_call(rq, p, rq->donor, call_wakeup, &call);
	if (is_kthread(p))
		bpf_sched_kthread_woken(rq);

	return call.action;
}
