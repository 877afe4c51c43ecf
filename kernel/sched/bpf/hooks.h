/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_HOOKS_H
#define _KERNEL_SCHED_BPF_HOOKS_H

/*
 * What fair.c and core.c call. This is the only header of kernel/sched/bpf/ that the rest
 * of the scheduler includes. With no policy attached each function here is one
 * patched nop for each hook that it serves; with CONFIG_BPF_SCHED off it is nothing.
 *
 * All of them but bpf_sched_select_cpu() are called with the lock of the rq held and its
 * clock updated.
 */

#ifdef CONFIG_BPF_SCHED

#include <linux/bpf_sched.h>
#include <linux/jump_label.h>
#include <linux/jump_label_ratelimit.h>

/* Turning a key off is deferred: it interrupts all CPUs, and may be undone soon. */
#define BPF_SCHED_HOOK(hook, params, args)	\
	extern struct static_key_false_deferred bpf_sched_key_##hook;
#include <linux/bpf_sched_hooks.h>

#define bpf_sched_hook_enabled(name)	\
	static_branch_unlikely(&bpf_sched_key_##name.key)

enum preempt_wakeup_action __bpf_sched_wakeup(struct rq *rq, struct task_struct *p,
					      int wake_flags);
void __bpf_sched_request_over(struct rq *rq, struct sched_entity *se);
bool __bpf_sched_tick(struct rq *rq, struct sched_entity *se, int queued);
bool __bpf_sched_next_request(struct rq *rq, struct sched_entity *se);
u64 __bpf_sched_place_slice(struct rq *rq, struct sched_entity *se, u64 slice);
void __bpf_sched_yield(struct sched_entity *se);
int __bpf_sched_select_cpu(struct task_struct *p, int wake_flags, int cpu);
bool __bpf_sched_is_hot(struct rq *src_rq, struct task_struct *p, int dst_cpu,
			const struct sched_domain *sd, bool hot);

/* What the wakee @p does to rq->donor; PREEMPT_WAKEUP_PICK: what it does anyway. */
static __always_inline enum preempt_wakeup_action
bpf_sched_wakeup(struct rq *rq, struct task_struct *p, int wake_flags)
{
	if (bpf_sched_hook_enabled(cfs_check_preempt_wakeup) ||
	    bpf_sched_hook_enabled(cfs_wakeup_preempt_entity))
		return __bpf_sched_wakeup(rq, p, wake_flags);

	return PREEMPT_WAKEUP_PICK;
}

/*
 * Has the protection of the request of @se ended at @vruntime? That is where the request
 * is used up, if not before, see set_protect_slice().
 */
static __always_inline bool bpf_sched_is_over(const struct sched_entity *se, u64 vruntime)
{
	return (s64)(vruntime - se->vprot) >= 0;
}

/*
 * The run time of @se, whose request it is, has been accounted. If its protection has
 * ended, it may grow, or end.
 */
static __always_inline void bpf_sched_request(struct rq *rq, struct sched_entity *se)
{
	if (bpf_sched_hook_enabled(cfs_check_preempt_tick) &&
	    bpf_sched_is_over(se, se->vruntime))
		__bpf_sched_request_over(rq, se);
}

/*
 * The tick, whose run time has yet to be accounted: a request may end here. True: it was
 * the hrtick (@queued), where one is to end, and this one goes on.
 */
static __always_inline bool
bpf_sched_tick(struct rq *rq, struct sched_entity *se, int queued)
{
	if (bpf_sched_hook_enabled(cfs_check_preempt_tick))
		return __bpf_sched_tick(rq, se, queued);

	return false;
}

/*
 * The next request of @se, which runs, has the usual size and deadline: others, if it has
 * no slice of its own and somebody says so. Called last, so that update_deadline() needs no
 * register for later. True, as its caller returns. The key is also on for
 * cfs_check_preempt_tick(), as sizes have to cover what was granted, see covering_size().
 */
static __always_inline bool bpf_sched_next_request(struct rq *rq, struct sched_entity *se)
{
	if (bpf_sched_hook_enabled(cfs_slice))
		return __bpf_sched_next_request(rq, se);

	return true;
}

/*
 * The size of a request of @se, which is being placed and has no slice of its own: @slice,
 * if nobody says something else. What it is owed may be less after that.
 */
static __always_inline u64
bpf_sched_place_slice(struct rq *rq, struct sched_entity *se, u64 slice)
{
	if (bpf_sched_hook_enabled(cfs_slice))
		return __bpf_sched_place_slice(rq, se, slice);

	return slice;
}

/* @se is about to forfeit the rest of its request: not more than without a policy. */
static __always_inline void bpf_sched_yield(struct sched_entity *se)
{
	if (bpf_sched_hook_enabled(cfs_slice))
		__bpf_sched_yield(se);
}

/*
 * The CPU that @p is queued on: @cpu, which its class chose, if nobody says something
 * else. pi_lock is held.
 */
static __always_inline int
bpf_sched_select_cpu(struct task_struct *p, int wake_flags, int cpu)
{
	if (bpf_sched_hook_enabled(cfs_select_cpu))
		return __bpf_sched_select_cpu(p, wake_flags, cpu);

	return cpu;
}

/*
 * Is @p to be taken for cache-hot, when the balancer of @sd looks at moving it from
 * @src_rq to @dst_cpu? @hot, if nobody says something else.
 */
static __always_inline long
bpf_sched_is_hot(struct rq *src_rq, struct task_struct *p, int dst_cpu,
		 const struct sched_domain *sd, long hot)
{
	if (bpf_sched_hook_enabled(cfs_can_migrate))
		return __bpf_sched_is_hot(src_rq, p, dst_cpu, sd, hot);

	return hot;
}

#else /* !CONFIG_BPF_SCHED: */

static inline enum preempt_wakeup_action
bpf_sched_wakeup(struct rq *rq, struct task_struct *p, int wake_flags)
{
	return PREEMPT_WAKEUP_PICK;
}

static inline void bpf_sched_request(struct rq *rq, struct sched_entity *se) {}
static inline bool bpf_sched_tick(struct rq *rq, struct sched_entity *se, int queued)
{
	return false;
}

static inline bool bpf_sched_next_request(struct rq *rq, struct sched_entity *se)
{
	return true;
}

static inline u64
bpf_sched_place_slice(struct rq *rq, struct sched_entity *se, u64 slice)
{
	return slice;
}

static inline void bpf_sched_yield(struct sched_entity *se) {}

static inline int
bpf_sched_select_cpu(struct task_struct *p, int wake_flags, int cpu)
{
	return cpu;
}

static inline long
bpf_sched_is_hot(struct rq *src_rq, struct task_struct *p, int dst_cpu,
		 const struct sched_domain *sd, long hot)
{
	return hot;
}

#endif /* !CONFIG_BPF_SCHED */

#endif /* _KERNEL_SCHED_BPF_HOOKS_H */
