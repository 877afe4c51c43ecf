// SPDX-License-Identifier: GPL-2.0
/* A program that takes an entity for a task, which is refused. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("struct_ops")
int BPF_PROG(mistaken_tick, struct task_struct *curr)
{
	return curr->pid > 1;
}

SEC(".struct_ops.link")
struct bpf_sched_ops mistaken = {
	.cfs_check_preempt_tick	= (void *)mistaken_tick,
	.name			= "mistaken",
};

char _license[] SEC("license") = "GPL";
