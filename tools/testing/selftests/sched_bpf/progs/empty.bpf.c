// SPDX-License-Identifier: GPL-2.0
/* A policy that returns 0 from all hooks, and trampolines at the same places. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("struct_ops")
int BPF_PROG(empty_wakeup, struct task_struct *curr, struct task_struct *p)
{
	return 0;
}

SEC("struct_ops")
int BPF_PROG(empty_entity, struct sched_entity *curr, struct sched_entity *se)
{
	return 0;
}

SEC("struct_ops")
int BPF_PROG(empty_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return 0;
}

SEC("struct_ops")
int BPF_PROG(empty_slice, struct sched_entity *se, u64 slice)
{
	return 0;
}

SEC("struct_ops")
int BPF_PROG(empty_select, struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu)
{
	return 0;
}

SEC("struct_ops")
int BPF_PROG(empty_migrate, struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot)
{
	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops empty = {
	.cfs_check_preempt_wakeup	= (void *)empty_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)empty_entity,
	.cfs_check_preempt_tick		= (void *)empty_tick,
	.cfs_slice			= (void *)empty_slice,
	.cfs_select_cpu			= (void *)empty_select,
	.cfs_can_migrate		= (void *)empty_migrate,
	.name				= "bpf_empty",
};

SEC(".struct_ops.link")
struct bpf_sched_ops empty_shadow = {
	.cfs_check_preempt_wakeup	= (void *)empty_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)empty_entity,
	.cfs_check_preempt_tick		= (void *)empty_tick,
	.cfs_slice			= (void *)empty_slice,
	.cfs_select_cpu			= (void *)empty_select,
	.cfs_can_migrate		= (void *)empty_migrate,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "shadow_empty",
};

/* The mechanism of the first proposal. */
SEC("fentry/wakeup_preempt_fair")
int BPF_PROG(trace_wakeup)
{
	return 0;
}

SEC("fentry/enqueue_task_fair")
int BPF_PROG(trace_enqueue)
{
	return 0;
}

SEC("fentry/pick_task_fair")
int BPF_PROG(trace_pick)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
