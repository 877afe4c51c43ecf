// SPDX-License-Identifier: GPL-2.0
/*
 * What a wakeup does, by the answers of policies: one of enum preempt_wakeup_action,
 * which an eligible wakee with a shorter slice or a fork has without a policy.
 */

#include <linux/percpu.h>

#include "../sched.h"
#include "ask.h"
#include "hooks.h"

/* How many of those who wait would_preempt() looks at. */
#define MAX_LOOKS	32

static_assert(BPF_SCHED_WAKE_FORK == WF_FORK);
static_assert(BPF_SCHED_WAKE_SYNC == WF_SYNC);
static_assert(BPF_SCHED_WAKE_MIGRATED == WF_MIGRATED);

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
		bpf_sched_overrule(call, hook, BPF_SCHED_BOUND_eligible, ret);
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

/* Not only one policy that has no opinion: of @hook there is @ret. */
static noinline enum preempt_wakeup_action
wakeup_rest(struct rq *rq, struct task_struct *p, int wake_flags, enum bpf_sched_hook hook,
	    const struct bpf_sched_order *orders, long ret)
{
	struct task_struct *donor = rq->donor;
	const struct bpf_sched_call *call;

	if (hook == BPF_SCHED_cfs_check_preempt_wakeup) {
		ret = bpf_sched_rest_cfs_check_preempt_wakeup(&call, rq, orders, ret, p, donor,
							      donor, p, wake_flags);
		if (!ret && bpf_sched_hook_enabled(cfs_wakeup_preempt_entity)) {
			hook = BPF_SCHED_cfs_wakeup_preempt_entity;
			ret = BPF_SCHED_UNUSUAL;
		}
	}
	if (hook == BPF_SCHED_cfs_wakeup_preempt_entity)
		ret = bpf_sched_rest_cfs_wakeup_preempt_entity(&call, rq, orders, ret, p, donor,
							       &donor->se, &p->se, wake_flags);

	if (!ret)
		return PREEMPT_WAKEUP_PICK;
	if (ret < 0)
		return PREEMPT_WAKEUP_NONE;

	if (!entity_eligible(&rq->cfs, &p->se)) {
		bpf_sched_overrule(call, hook, BPF_SCHED_BOUND_eligible, ret);
		return PREEMPT_WAKEUP_PICK;
	}

	/* The caller is about to do this lazily. */
	if (ret == BPF_SCHED_PREEMPT_NOW)
		resched_curr(rq);

	return PREEMPT_WAKEUP_SHORT;
}

enum preempt_wakeup_action __bpf_sched_wakeup(struct rq *rq, struct task_struct *p,
					      int wake_flags)
{
	struct task_struct *donor = rq->donor;
	struct bpf_sched_whom whom = bpf_sched_whom(rq, p, donor);
	long ret;

	lockdep_assert_rq_held(rq);

	if (bpf_sched_hook_enabled(cfs_check_preempt_wakeup)) {
		ret = bpf_sched_try_cfs_check_preempt_wakeup(whom, donor, p, wake_flags);
		if (unlikely(ret))
			return wakeup_rest(rq, p, wake_flags,
					   BPF_SCHED_cfs_check_preempt_wakeup, whom.orders, ret);
	}
	if (bpf_sched_hook_enabled(cfs_wakeup_preempt_entity)) {
		ret = bpf_sched_try_cfs_wakeup_preempt_entity(whom, &donor->se, &p->se,
							      wake_flags);
		if (unlikely(ret))
			return wakeup_rest(rq, p, wake_flags,
					   BPF_SCHED_cfs_wakeup_preempt_entity, whom.orders, ret);
	}

	return PREEMPT_WAKEUP_PICK;
}
