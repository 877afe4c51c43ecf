// SPDX-License-Identifier: GPL-2.0
/*
 * A policy that counts its calls by SCHED_* of the task, and two sched_ext schedulers
 * that leave everything to sched_ext's defaults.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

int answer;

__u64 wakees[8];	/* tasks that woke */
__u64 preempted[8];	/* current tasks then */
__u64 ticks[8];		/* current tasks of ticks */
__u64 slices[8];	/* tasks that began a slice */
__u64 placed[8];	/* tasks that a CPU was selected for */
__u64 proxied;		/* ticks while another task ran for the donor */

static void count(__u64 *counts, __u32 policy)
{
	/* SCHED_* are below 8, which the verifier does not know. */
	__sync_fetch_and_add(&counts[policy & 7], 1);
}

SEC("struct_ops")
int BPF_PROG(count_wakeup, struct task_struct *curr, struct task_struct *p)
{
	count(wakees, p->policy);
	count(preempted, curr->policy);

	return answer;
}

SEC("struct_ops")
int BPF_PROG(count_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	struct task_struct *p = (void *)curr - bpf_core_field_offset(struct task_struct, se);

	count(ticks, BPF_CORE_READ(p, policy));

	if ((__u32)bpf_get_current_pid_tgid() != BPF_CORE_READ(p, pid))
		__sync_fetch_and_add(&proxied, 1);

	return answer;
}

SEC("struct_ops")
int BPF_PROG(count_slice, struct sched_entity *se, u64 slice)
{
	struct task_struct *p = (void *)se - bpf_core_field_offset(struct task_struct, se);

	count(slices, BPF_CORE_READ(p, policy));

	return 0;
}

SEC("struct_ops")
int BPF_PROG(count_select, struct task_struct *p)
{
	count(placed, p->policy);

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops counting = {
	.cfs_check_preempt_wakeup	= (void *)count_wakeup,
	.cfs_check_preempt_tick		= (void *)count_tick,
	.cfs_slice			= (void *)count_slice,
	.cfs_select_cpu			= (void *)count_select,
	.name				= "counting",
};

SEC(".struct_ops.link")
struct sched_ext_ops ext_full = {
	.name	= "ext_full",
};

SEC(".struct_ops.link")
struct sched_ext_ops ext_partial = {
	.flags	= SCX_OPS_SWITCH_PARTIAL,
	.name	= "ext_partial",
};

char _license[] SEC("license") = "GPL";
