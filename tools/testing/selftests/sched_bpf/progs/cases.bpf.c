// SPDX-License-Identifier: GPL-2.0
/* Policies of the cases. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define LONGEST_NS	100000000

SEC("struct_ops")
int BPF_PROG(long_slice, struct sched_entity *se, u64 slice)
{
	return LONGEST_NS;
}

SEC("struct_ops")
int BPF_PROG(chain_wakeup, struct task_struct *curr, struct task_struct *p)
{
	return p->comm[0] == 'c' ? BPF_SCHED_PREEMPT_NOW : BPF_SCHED_PASS;
}

/* Tasks in the cgroup are not preempted by others. */
SEC("struct_ops")
int BPF_PROG(protect_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     struct cgroup *cgrp)
{
	return bpf_task_under_cgroup(p, cgrp) ? BPF_SCHED_PASS : BPF_SCHED_NO_PREEMPT;
}

SEC("struct_ops")
int BPF_PROG(protect_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return delta_exec < LONGEST_NS ? BPF_SCHED_EXTEND : BPF_SCHED_PASS;
}

SEC(".struct_ops.link")
struct bpf_sched_ops chain = {
	.cfs_check_preempt_wakeup	= (void *)chain_wakeup,
	.cfs_slice			= (void *)long_slice,
	.name				= "chain",
};

SEC(".struct_ops.link")
struct bpf_sched_ops slices = {
	.cfs_slice			= (void *)long_slice,
	.name				= "slices",
};

SEC(".struct_ops.link")
struct bpf_sched_ops shadow_slices = {
	.cfs_slice			= (void *)long_slice,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "shadow_slices",
};

SEC(".struct_ops.link")
struct bpf_sched_ops protect = {
	.cfs_check_preempt_wakeup	= (void *)protect_wakeup,
	.cfs_check_preempt_tick		= (void *)protect_tick,
	.name				= "protect",
};

char _license[] SEC("license") = "GPL";
