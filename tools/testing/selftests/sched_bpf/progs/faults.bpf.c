// SPDX-License-Identifier: GPL-2.0
/* Policies that fail: one whose map is full, and one that takes too long. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

/* What the last update that failed returned. */
long failure;

/* An opinion about those that are in the map. */
static int remember(__u32 pid)
{
	__u64 value = 1;
	long err;

	err = bpf_map_update_elem(&seen, &pid, &value, BPF_ANY);
	if (!err)
		return -1;

	failure = err;
	return 0;
}

SEC("struct_ops")
int BPF_PROG(full_wakeup, struct task_struct *curr, struct task_struct *p)
{
	return remember(p->pid);
}

SEC("struct_ops")
int BPF_PROG(full_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return remember(bpf_sched_entity_to_tgidpid(curr));
}

SEC(".struct_ops.link")
struct bpf_sched_ops full = {
	.cfs_check_preempt_wakeup	= (void *)full_wakeup,
	.cfs_check_preempt_tick		= (void *)full_tick,
	.name				= "full",
};

/* The verifier walks through every round and gives up at a million instructions. */
#define ROUNDS	300000

static __always_inline int spin(void)
{
	int i;

	for (i = 0; i < ROUNDS; i++)
		barrier_var(i);

	return 0;
}

SEC("?struct_ops")
int BPF_PROG(slow_wakeup, struct task_struct *curr, struct task_struct *p)
{
	return spin();
}

SEC("?struct_ops")
int BPF_PROG(slow_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return spin();
}

SEC("?.struct_ops.link")
struct bpf_sched_ops slow = {
	.cfs_check_preempt_wakeup	= (void *)slow_wakeup,
	.cfs_check_preempt_tick		= (void *)slow_tick,
	.name				= "slow",
};

char _license[] SEC("license") = "GPL";
