// SPDX-License-Identifier: GPL-2.0
/*
 * What a wakeup does, by the answers of policies: one of enum preempt_wakeup_action,
 * which an eligible wakee with a shorter slice or a fork has without a policy.
 */

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

void
bpf_sched_shadow_cfs_check_preempt_wakeup(const struct bpf_sched_ask_cfs_check_preempt_wakeup *q,
					  struct rq *rq, int ret)
{
	shadow_wakeup(q->call, BPF_SCHED_cfs_check_preempt_wakeup, rq, ret, q->arg.p,
		      q->arg.wake_flags);
}

void
bpf_sched_shadow_cfs_wakeup_preempt_entity(const struct bpf_sched_ask_cfs_wakeup_preempt_entity *q,
					   struct rq *rq, int ret)
{
	shadow_wakeup(q->call, BPF_SCHED_cfs_wakeup_preempt_entity, rq, ret,
		      task_of(q->arg.se), q->arg.wake_flags);
}

/* What the opinion @ret on the wakee @p, which is not zero, comes to. */
static noinline enum preempt_wakeup_action
wakeup_action(const struct bpf_sched_call *call, enum bpf_sched_hook hook,
	      struct task_struct *p, int ret)
{
	struct rq *rq = task_rq(p);

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

static __always_inline enum preempt_wakeup_action
ask_wakeup(struct bpf_sched_whom whom, struct task_struct *donor, struct task_struct *p,
	   u64 wake_flags)
{
	struct bpf_sched_ask_cfs_check_preempt_wakeup q __uninitialized;
	struct bpf_sched_ask_cfs_wakeup_preempt_entity entity __uninitialized;
	int ret;

	q.arg.curr = donor;
	q.arg.p = p;
	q.arg.wake_flags = wake_flags;
	if (bpf_sched_hook_enabled(cfs_check_preempt_wakeup)) {
		ret = bpf_sched_ask_cfs_check_preempt_wakeup(&q, whom);
		if (unlikely(ret))
			return wakeup_action(q.call, BPF_SCHED_cfs_check_preempt_wakeup,
					     q.arg.p, ret);
	}

	if (bpf_sched_hook_enabled(cfs_wakeup_preempt_entity)) {
		entity.arg.curr = &q.arg.curr->se;
		entity.arg.se = &q.arg.p->se;
		entity.arg.wake_flags = q.arg.wake_flags;
		ret = bpf_sched_ask_cfs_wakeup_preempt_entity(&entity, whom);
		if (unlikely(ret))
			return wakeup_action(entity.call, BPF_SCHED_cfs_wakeup_preempt_entity,
					     q.arg.p, ret);
	}

	return PREEMPT_WAKEUP_PICK;
}

static noinline enum preempt_wakeup_action
ask_wakeup_slow(const struct bpf_sched_order *a, const struct bpf_sched_order *b,
		struct task_struct *donor, struct task_struct *p, u64 wake_flags)
{
	const struct bpf_sched_whom whom = { a, b, false };

	return ask_wakeup(whom, donor, p, wake_flags);
}

enum preempt_wakeup_action __bpf_sched_wakeup(struct rq *rq, struct task_struct *p,
					      int wake_flags)
{
	struct task_struct *donor = rq->donor;
	struct bpf_sched_whom whom;

	lockdep_assert_rq_held(rq);

	if (bpf_sched_core_is_taken(rq))
		return PREEMPT_WAKEUP_PICK;

	whom = bpf_sched_whom(rq, p, donor);
	if (unlikely(!whom.usual))
		return ask_wakeup_slow(whom.a, whom.b, donor, p, wake_flags);

	return ask_wakeup(whom, donor, p, wake_flags);
}
