// SPDX-License-Identifier: GPL-2.0
/* A policy that has no opinion on anything: what asking it costs is the cost of asking. */
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

SEC(".struct_ops.link")
struct bpf_sched_ops empty = {
	.cfs_check_preempt_wakeup	= (void *)empty_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)empty_entity,
	.cfs_check_preempt_tick		= (void *)empty_tick,
	.name				= "bpf_empty",
};

char LICENSE[] SEC("license") = "GPL";
