// SPDX-License-Identifier: GPL-2.0
/* Policies that the kernel has to be protected from. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Keeps the loop below from being left out. */
__u64 sink;

/* Calls of the programs that are fast when they expect to be timed. */
__u64 fast_calls;
__u64 slow_calls;

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
	work(10000, delta_exec);

	return 0;
}

/* Too little for a tick to be missed when many of them are asked. */
SEC("struct_ops")
int BPF_PROG(loop_short, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	work(1500, delta_exec);

	return 0;
}

static __always_inline int sly(bool timed, __u64 sum)
{
	if (timed) {
		__sync_fetch_and_add(&fast_calls, 1);
	} else {
		__sync_fetch_and_add(&slow_calls, 1);
		work(1000, sum);
	}

	return 0;
}

/* Expects that what is timed is the first call in each jiffy. */
SEC("struct_ops")
int BPF_PROG(sly_by_jiffy, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     const struct bpf_sched_policy *this)
{
	static __u64 last[8];
	__u32 cpu = bpf_get_smp_processor_id() % 8;
	__u64 now = bpf_jiffies64();
	bool first = now != last[cpu];

	last[cpu] = now;
	return sly(first, now);
}

/* Or one call of so many, from the first one on. */
SEC("struct_ops")
int BPF_PROG(sly_by_count, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     const struct bpf_sched_policy *this)
{
	static __u64 calls[8];
	__u64 n = calls[bpf_get_smp_processor_id() % 8]++;

	return sly(n % 64 == 0, n);
}

SEC(".struct_ops.link")
struct bpf_sched_ops keeps = {
	.cfs_check_preempt_tick		= (void *)keep,
	.name				= "keeps",
};

SEC(".struct_ops.link")
struct bpf_sched_ops loops = {
	.cfs_check_preempt_tick		= (void *)loop,
	.name				= "loops",
};

SEC(".struct_ops.link")
struct bpf_sched_ops loops_short = {
	.cfs_check_preempt_tick		= (void *)loop_short,
	.name				= "loops_short",
};

SEC(".struct_ops.link")
struct bpf_sched_ops sly_jiffy = {
	.cfs_check_preempt_wakeup	= (void *)sly_by_jiffy,
	.name				= "sly_jiffy",
};

SEC(".struct_ops.link")
struct bpf_sched_ops sly_count = {
	.cfs_check_preempt_wakeup	= (void *)sly_by_count,
	.name				= "sly_count",
};

char _license[] SEC("license") = "GPL";
