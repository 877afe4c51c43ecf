// SPDX-License-Identifier: GPL-2.0
/*
 * A policy that counts whom it is asked about, by SCHED_* of the task, and two
 * sched_ext schedulers that leave everything to sched_ext's defaults.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

int answer;

__u64 wakees[8];	/* tasks that woke up */
__u64 preempted[8];	/* those that ran then */
__u64 requests[8];	/* those whose request might end */
__u64 slices[8];	/* those whose next request was to be sized */
__u64 placed[8];	/* those that were to begin somewhere */
__u64 proxied;		/* requests by which another task ran */

static void count(__u64 *counts, __u32 policy)
{
	/* SCHED_* are below 8, which the verifier does not know. */
	__sync_fetch_and_add(&counts[policy & 7], 1);
}

SEC("struct_ops")
int BPF_PROG(asked_wakeup, struct task_struct *curr, struct task_struct *p)
{
	count(wakees, p->policy);
	count(preempted, curr->policy);

	return answer;
}

SEC("struct_ops")
int BPF_PROG(asked_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	struct task_struct *p = (void *)curr - bpf_core_field_offset(struct task_struct, se);

	count(requests, BPF_CORE_READ(p, policy));

	/* The CPU time of a task may be read from another CPU: that is no proxy. */
	if (BPF_CORE_READ(p, thread_info.cpu) == bpf_get_smp_processor_id() &&
	    (__u32)bpf_get_current_pid_tgid() != BPF_CORE_READ(p, pid))
		__sync_fetch_and_add(&proxied, 1);

	return answer;
}

SEC("struct_ops")
int BPF_PROG(asked_slice, struct sched_entity *se, u64 slice)
{
	struct task_struct *p = (void *)se - bpf_core_field_offset(struct task_struct, se);

	count(slices, BPF_CORE_READ(p, policy));

	return 0;
}

SEC("struct_ops")
int BPF_PROG(asked_select, struct task_struct *p)
{
	count(placed, p->policy);

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops asked = {
	.cfs_check_preempt_wakeup	= (void *)asked_wakeup,
	.cfs_check_preempt_tick		= (void *)asked_tick,
	.cfs_slice			= (void *)asked_slice,
	.cfs_select_cpu			= (void *)asked_select,
	.name				= "asked",
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
