/* SPDX-License-Identifier: GPL-2.0 */
/* Policies with all hooks, whose programs return the same expression. */

#define HOOK(name, expr, ...)							\
	SEC("struct_ops")							\
	int BPF_PROG(name, __VA_ARGS__)						\
	{									\
		return expr;							\
	}

#define HOOKS(prefix, expr)							\
	HOOK(prefix##_wakeup, expr, struct task_struct *curr, struct task_struct *p) \
	HOOK(prefix##_entity, expr, struct sched_entity *curr, struct sched_entity *se) \
	HOOK(prefix##_tick, expr, struct sched_entity *curr, unsigned long delta_exec) \
	HOOK(prefix##_slice, expr, struct sched_entity *se, u64 slice)		\
	HOOK(prefix##_select, expr, struct task_struct *p, u64 prev_cpu)	\
	HOOK(prefix##_migrate, expr, struct task_struct *p, u64 src_cpu, u64 dst_cpu)

#define OPS(ops_name, prefix, ops_flags)					\
	SEC(".struct_ops.link")							\
	struct bpf_sched_ops ops_name = {					\
		.cfs_check_preempt_wakeup	= (void *)prefix##_wakeup,	\
		.cfs_wakeup_preempt_entity	= (void *)prefix##_entity,	\
		.cfs_check_preempt_tick		= (void *)prefix##_tick,	\
		.cfs_slice			= (void *)prefix##_slice,	\
		.cfs_select_cpu			= (void *)prefix##_select,	\
		.cfs_can_migrate		= (void *)prefix##_migrate,	\
		.flags				= ops_flags,			\
		.name				= #ops_name,			\
	}
