// SPDX-License-Identifier: GPL-2.0
/* A policy that returns 0 from all hooks, and trampolines at the same places. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "hooks.h"

HOOKS(empty, 0)
OPS(bpf_empty, empty, 0);
OPS(shadow_empty, empty, BPF_SCHED_F_SHADOW);

/* What most policies have. */
SEC(".struct_ops.link")
struct bpf_sched_ops two_empty = {
	.cfs_check_preempt_wakeup	= (void *)empty_wakeup,
	.cfs_slice			= (void *)empty_slice,
	.name				= "two_empty",
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
