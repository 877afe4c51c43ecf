/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_HOOKS_H
#define _KERNEL_SCHED_BPF_HOOKS_H

/*
 * The calls that fair.c and core.c make. With no policy attached each is a patched
 * nop, with CONFIG_BPF_SCHED off it is nothing.
 */

#ifdef CONFIG_BPF_SCHED
#include <linux/bpf-cgroup.h>
#define bpf_sched_enabled()	cgroup_bpf_enabled(CGROUP_SCHED_OPS)
#else
#define bpf_sched_enabled()	false
#endif

struct sched_domain;

enum preempt_wakeup_action __bpf_sched_wakeup(struct rq *rq, struct task_struct *p,
					      int wake_flags);
u64 __bpf_sched_slice(struct rq *rq, struct sched_entity *se, u64 slice);
u64 __bpf_sched_max_slice(struct rq *rq, u64 max_slice);
bool __bpf_sched_tick(struct rq *rq, struct sched_entity *se, int queued);
int __bpf_sched_select_cpu(struct task_struct *p, int wake_flags, int cpu);
bool __bpf_sched_is_hot(struct rq *src_rq, struct task_struct *p, int dst_cpu,
			const struct sched_domain *sd, bool hot);

/*
 * Return what the wakee @p does to the current task of @rq, or PREEMPT_WAKEUP_PICK
 * to let wakeup_preempt_fair() decide.
 */
static __always_inline enum preempt_wakeup_action
bpf_sched_wakeup(struct rq *rq, struct task_struct *p, int wake_flags)
{
	if (bpf_sched_enabled())
		return __bpf_sched_wakeup(rq, p, wake_flags);

	return PREEMPT_WAKEUP_PICK;
}

/* Return the slice of @se, which has no custom slice; @slice is the base slice. */
static __always_inline u64 bpf_sched_slice(struct rq *rq, struct sched_entity *se, u64 slice)
{
	if (bpf_sched_enabled())
		return __bpf_sched_slice(rq, se, slice);

	return slice;
}

/* Return the slice that limits the lag of entities of @rq, @max_slice at least. */
static __always_inline u64 bpf_sched_max_slice(struct rq *rq, u64 max_slice)
{
	if (bpf_sched_enabled())
		return __bpf_sched_max_slice(rq, max_slice);

	return max_slice;
}

/*
 * Called at the tick before the runtime of @se, the donor's entity, is accounted.
 * Return true if it is the hrtick (@queued) and the slice goes on.
 */
static __always_inline bool bpf_sched_tick(struct rq *rq, struct sched_entity *se, int queued)
{
	if (bpf_sched_enabled())
		return __bpf_sched_tick(rq, se, queued);

	return false;
}

/* Return the CPU that @p is enqueued on; @cpu is what its class has selected. */
static __always_inline int
bpf_sched_select_cpu(struct task_struct *p, int wake_flags, int cpu)
{
	if (bpf_sched_enabled())
		return __bpf_sched_select_cpu(p, wake_flags, cpu);

	return cpu;
}

/*
 * Return true if the balancer of @sd is to take @p for cache-hot, when it looks at
 * moving it from @src_rq to @dst_cpu; @hot is the default.
 */
static __always_inline long
bpf_sched_is_hot(struct rq *src_rq, struct task_struct *p, int dst_cpu,
		 const struct sched_domain *sd, long hot)
{
	if (bpf_sched_enabled())
		return __bpf_sched_is_hot(src_rq, p, dst_cpu, sd, hot);

	return hot;
}

#endif /* _KERNEL_SCHED_BPF_HOOKS_H */
