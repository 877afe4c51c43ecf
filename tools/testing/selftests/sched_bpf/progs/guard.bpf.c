// SPDX-License-Identifier: GPL-2.0
/* Policies that the kernel has to be protected from. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Keeps the loop below from being left out. */
__u64 sink;

SEC("struct_ops")
int BPF_PROG(keep, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	return -1;
}

static __always_inline void work(int n, __u64 sum)
{
	int i;

	for (i = 0; i < n; i++)
		sum = sum * 31 + i;
	sink = sum;
}

/* Some ten thousand instructions. */
SEC("struct_ops")
int BPF_PROG(loop, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	work(4000, delta_exec);

	return 0;
}

/* Too little for a tick to be missed when sixteen of them are asked. */
SEC("struct_ops")
int BPF_PROG(loop_short, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	work(1000, delta_exec);

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops keeps = {
	.cfs_check_preempt_tick	= (void *)keep,
	.name			= "keeps",
};

SEC(".struct_ops.link")
struct bpf_sched_ops keeps_or_leaves = {
	.cfs_check_preempt_tick	= (void *)keep,
	.flags			= BPF_SCHED_F_DETACH_OVERRULED,
	.name			= "keeps_or_leaves",
};

SEC(".struct_ops.link")
struct bpf_sched_ops loops = {
	.cfs_check_preempt_tick	= (void *)loop,
	.name			= "loops",
};

SEC(".struct_ops.link")
struct bpf_sched_ops loops_short = {
	.cfs_check_preempt_tick	= (void *)loop_short,
	.name			= "loops_short",
};

char _license[] SEC("license") = "GPL";
