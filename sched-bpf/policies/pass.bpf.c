// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps every default: a placebo, for the cost of calling hooks and for trials whose other
 * arm has no policy.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("struct_ops")
int BPF_PROG(pass_wakeup)
{
	return BPF_SCHED_PASS;
}

SEC("struct_ops")
int BPF_PROG(pass_tick)
{
	return BPF_SCHED_PASS;
}

SEC(".struct_ops.link")
struct bpf_sched_ops pass = {
	.cfs_check_preempt_wakeup	= (void *)pass_wakeup,
	.cfs_check_preempt_tick		= (void *)pass_tick,
	.name				= "pass",
};

char LICENSE[] SEC("license") = "GPL";
