/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_HOOKS_H
#define _KERNEL_SCHED_BPF_HOOKS_H

/*
 * What fair.c calls. This is the only header of kernel/sched/bpf/ that the rest
 * of the scheduler includes. With no policy attached each function here is one
 * patched nop; with CONFIG_BPF_SCHED off it is nothing.
 *
 * All of them are called with the lock of @rq held and its clock updated.
 */

#ifdef CONFIG_BPF_SCHED

#include <linux/bpf_sched.h>
#include <linux/jump_label.h>

#define BPF_SCHED_HOOK(hook, params, args)	\
	DECLARE_STATIC_KEY_FALSE(bpf_sched_key_##hook);
#include <linux/bpf_sched_hooks.h>

DECLARE_STATIC_KEY_FALSE(bpf_sched_key_shadow);

#define bpf_sched_hook_enabled(name)	\
	static_branch_unlikely(&bpf_sched_key_##name)

bool __bpf_sched_held(struct rq *rq);
void __bpf_sched_yield(struct rq *rq);
bool __bpf_sched_wakeup(struct rq *rq, struct task_struct *p);
bool __bpf_sched_wakeup_entity(struct rq *rq, struct sched_entity *se);
void __bpf_sched_preempts(struct rq *rq, struct task_struct *p);
bool __bpf_sched_tick(struct rq *rq, struct sched_entity *se);

/*
 * Does a policy hold the CPU for the entity whose turn it is? Then the pick
 * returns that entity again. Only a tick answer holds across a pick.
 */
static __always_inline bool bpf_sched_held(struct rq *rq)
{
	return bpf_sched_hook_enabled(cfs_check_preempt_tick) &&
	       __bpf_sched_held(rq);
}

/* The task gives the CPU up by itself: nothing is held for it any longer. */
static __always_inline void bpf_sched_yield(struct rq *rq)
{
	if (bpf_sched_hook_enabled(cfs_check_preempt_tick))
		__bpf_sched_yield(rq);
}

/*
 * Ask whether the wakee @p preempts rq->donor. True if a policy decided the
 * wakeup, and has done what it decided.
 */
static __always_inline bool bpf_sched_wakeup(struct rq *rq, struct task_struct *p)
{
	if (bpf_sched_hook_enabled(cfs_check_preempt_wakeup) &&
	    __bpf_sched_wakeup(rq, p))
		return true;

	return bpf_sched_held(rq);
}

/* The same where the entity @se of the wakee is compared with rq->donor's. */
static __always_inline bool bpf_sched_wakeup_entity(struct rq *rq,
						    struct sched_entity *se)
{
	return bpf_sched_hook_enabled(cfs_wakeup_preempt_entity) &&
	       __bpf_sched_wakeup_entity(rq, se);
}

/* The fair class decides that @p preempts: tell those who only look on. */
static __always_inline void bpf_sched_preempts(struct rq *rq, struct task_struct *p)
{
	if (bpf_sched_hook_enabled(shadow))
		__bpf_sched_preempts(rq, p);
}

/*
 * Ask whether the turn of @se ends. True to keep it running. If it is to end,
 * its deadline is brought forward so that update_deadline() ends its request.
 */
static __always_inline bool bpf_sched_tick(struct rq *rq, struct sched_entity *se)
{
	return bpf_sched_hook_enabled(cfs_check_preempt_tick) &&
	       __bpf_sched_tick(rq, se);
}

#else /* !CONFIG_BPF_SCHED: */

static inline bool bpf_sched_held(struct rq *rq) { return false; }
static inline void bpf_sched_yield(struct rq *rq) {}
static inline bool bpf_sched_wakeup(struct rq *rq, struct task_struct *p) { return false; }
static inline bool bpf_sched_wakeup_entity(struct rq *rq, struct sched_entity *se) { return false; }
static inline void bpf_sched_preempts(struct rq *rq, struct task_struct *p) {}
static inline bool bpf_sched_tick(struct rq *rq, struct sched_entity *se) { return false; }

#endif /* !CONFIG_BPF_SCHED */

#endif /* _KERNEL_SCHED_BPF_HOOKS_H */
