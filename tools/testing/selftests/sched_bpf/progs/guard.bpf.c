// SPDX-License-Identifier: GPL-2.0
/* Policies that the kernel has to be protected from. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Keeps the loop below from being left out. */
__u64 sink;

char from[64 << 20], to[64 << 20];
unsigned int reads;
__u64 read_ns;

SEC("struct_ops")
int BPF_PROG(keep_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return -1;
}

static __always_inline int work(int n, __u64 sum)
{
	int i;

	for (i = 0; i < n; i++)
		sum = sum * 31 + i;
	sink = sum;

	return 0;
}

SEC("struct_ops")
int BPF_PROG(loop_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return work(10000, delta_exec);
}

SEC("struct_ops")
int BPF_PROG(short_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return work(1000, delta_exec);
}

/* Many calls, none of them long. */
SEC("struct_ops")
int BPF_PROG(short_wakeup, struct task_struct *curr, struct task_struct *p)
{
	return work(1000, p->pid);
}

/* The longest that a single instruction can take, a number of times. */
SEC("struct_ops")
int BPF_PROG(read_slice, struct sched_entity *se, u64 slice)
{
	unsigned int i;

	for (i = 0; i < 1000 && i < reads; i++)
		bpf_probe_read_kernel(to, sizeof(to), from);
	return 0;
}

SEC("syscall")
int time_read(void *ctx)
{
	__u64 begin = bpf_ktime_get_ns();

	bpf_probe_read_kernel(to, sizeof(to), from);
	read_ns = bpf_ktime_get_ns() - begin;
	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops keep = {
	.cfs_check_preempt_tick		= (void *)keep_tick,
	.name				= "keep",
};

SEC(".struct_ops.link")
struct bpf_sched_ops loop = {
	.cfs_check_preempt_tick		= (void *)loop_tick,
	.name				= "loop",
};

SEC(".struct_ops.link")
struct bpf_sched_ops short_loop = {
	.cfs_check_preempt_tick		= (void *)short_tick,
	.name				= "short_loop",
};

SEC(".struct_ops.link")
struct bpf_sched_ops many_calls = {
	.cfs_check_preempt_wakeup	= (void *)short_wakeup,
	.name				= "many_calls",
};

SEC(".struct_ops.link")
struct bpf_sched_ops long_calls = {
	.cfs_slice			= (void *)read_slice,
	.name				= "long_calls",
};

char _license[] SEC("license") = "GPL";
