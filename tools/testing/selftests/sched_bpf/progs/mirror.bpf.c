// SPDX-License-Identifier: GPL-2.0
/*
 * Results that look random, but follow from the arguments of the hook. The policy mirror of
 * modules/sched_bpf_test.rs has the same.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define NEW	0xcbf29ce484222325

static u64 add(u64 hash, u64 value)
{
	return (hash ^ value) * 0x0100000001b3;
}

static u64 add_entity(u64 hash, struct sched_entity *se)
{
	hash = add(hash, se->slice);
	hash = add(hash, se->deadline);
	hash = add(hash, se->vruntime);
	hash = add(hash, se->sum_exec_runtime);
	hash = add(hash, bpf_sched_entity_lag(se));
	hash = add(hash, bpf_sched_entity_eligible(se) > 0);
	hash = add(hash, bpf_sched_entity_nr_runnable(se));
	hash = add(hash, !!se->on_rq);
	return add(hash, (u32)bpf_sched_entity_to_tgidpid(se));
}

static u64 add_task(u64 hash, struct task_struct *p)
{
	return add(add_entity(hash, &p->se), p->tgid);
}

static u64 add_flags(u64 hash, u64 wake_flags)
{
	hash = add(hash, !!(wake_flags & BPF_SCHED_WAKE_FORK));
	hash = add(hash, !!(wake_flags & BPF_SCHED_WAKE_TTWU));
	hash = add(hash, !!(wake_flags & BPF_SCHED_WAKE_SYNC));
	return add(hash, !!(wake_flags & BPF_SCHED_WAKE_MIGRATED));
}

static int below(u64 hash, u64 n)
{
	return (hash >> 32) % n;
}

SEC("struct_ops")
int BPF_PROG(mirror_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags)
{
	return below(add_task(add_task(add_flags(NEW, wake_flags), curr), p), 4) - 1;
}

SEC("struct_ops")
int BPF_PROG(mirror_entity, struct sched_entity *curr, struct sched_entity *se)
{
	return below(add_entity(add_entity(NEW, curr), se), 4) - 1;
}

SEC("struct_ops")
int BPF_PROG(mirror_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return below(add(add_entity(NEW, curr), delta_exec), 3) - 1;
}

/* Up to 16.8 ms. Some are below the shortest slice. In Rust 0 ns is 1 ns. */
SEC("struct_ops")
int BPF_PROG(mirror_slice, struct sched_entity *se, u64 slice)
{
	u64 hash = add(add_entity(NEW, se), slice);

	if (!below(hash, 2))
		return 0;
	return below(hash, 1 << 24) ?: 1;
}

SEC("struct_ops")
int BPF_PROG(mirror_select_cpu, struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu)
{
	u64 hash = add_flags(NEW, wake_flags);

	hash = add(hash, p->pid);
	hash = add(hash, prev_cpu);
	hash = add(hash, stock_cpu);
	switch (below(hash, 3)) {
	case 0:
		return BPF_SCHED_PASS;
	case 1:
		return BPF_SCHED_CPU_0 + prev_cpu;
	default:
		return BPF_SCHED_CPU_0 + stock_cpu;
	}
}

SEC("struct_ops")
int BPF_PROG(mirror_can_migrate, struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot)
{
	return below(add(add(add(add_task(NEW, p), src_cpu), dst_cpu), hot), 3) - 1;
}

SEC(".struct_ops.link")
struct bpf_sched_ops mirror = {
	.cfs_check_preempt_wakeup	= (void *)mirror_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)mirror_entity,
	.cfs_check_preempt_tick		= (void *)mirror_tick,
	.cfs_slice			= (void *)mirror_slice,
	.cfs_select_cpu			= (void *)mirror_select_cpu,
	.cfs_can_migrate		= (void *)mirror_can_migrate,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "bpf_mirror",
};

char LICENSE[] SEC("license") = "GPL";
