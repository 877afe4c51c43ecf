// SPDX-License-Identifier: GPL-2.0
/* A policy that takes some percent of a CPU, whatever kernel it is. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Keeps the loop below from being left out. */
__u64 sink;

SEC("struct_ops")
int BPF_PROG(slow_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	__u64 sum = delta_exec;
	int i;

	for (i = 0; i < 5000; i++)
		sum = sum * 31 + i;
	sink = sum;

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops slow = {
	.cfs_check_preempt_tick	= (void *)slow_tick,
	.name			= "slow",
};

char _license[] SEC("license") = "GPL";
