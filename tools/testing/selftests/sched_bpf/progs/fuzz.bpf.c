// SPDX-License-Identifier: GPL-2.0
/*
 * A policy that answers at random, and a tracer that measures the turns which it
 * may have prolonged.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* The CPU on which turns are measured: always more than one task wants it. */
__u32 cpu;

/* When the task that has its turn there was first held, or zero. */
__u64 held_at;

/* Turns in which the CPU was held, how long it was at most, and the limit. */
unsigned long held_turns;
unsigned long max_held_ns;
unsigned long limit_ns;
unsigned long violations;

static int answer(__u32 on_cpu)
{
	__u32 random = bpf_get_prandom_u32();
	int ret = bpf_get_prandom_u32();

	switch (random % 8) {
	case 0:
		ret = 0;
		break;
	case 1:
		ret = 1;
		break;
	case 2:
		ret = -1;
		break;
	case 3:
		ret = 0x7fffffff;
		break;
	case 4:
		ret = -0x7fffffff - 1;
		break;
	case 5:
		/* Errors, which are answers like any other. */
		ret = -(random >> 8) % 4096;
		break;
	}

	if (ret < 0 && on_cpu == cpu && !held_at)
		held_at = bpf_ktime_get_ns();

	return ret;
}

SEC("struct_ops")
int BPF_PROG(any_wakeup, struct task_struct *curr, struct task_struct *p,
	     const struct bpf_sched_policy *this)
{
	return answer(curr->thread_info.cpu);
}

SEC("struct_ops")
int BPF_PROG(any_entity, struct sched_entity *curr, struct sched_entity *se,
	     const struct bpf_sched_policy *this)
{
	return answer(bpf_get_smp_processor_id());
}

SEC("struct_ops")
int BPF_PROG(any_tick, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	return answer(bpf_get_smp_processor_id());
}

SEC("tp_btf/sched_switch")
int BPF_PROG(measure, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u64 held;

	if (bpf_get_smp_processor_id() != cpu || prev == next)
		return 0;

	if (held_at) {
		held = bpf_ktime_get_ns() - held_at;
		held_turns++;
		if (held > max_held_ns)
			max_held_ns = held;
		if (held > limit_ns)
			violations++;
	}
	held_at = 0;

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops fuzz = {
	.cfs_check_preempt_wakeup	= (void *)any_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)any_entity,
	.cfs_check_preempt_tick		= (void *)any_tick,
	.name				= "fuzz",
};

SEC(".struct_ops.link")
struct bpf_sched_ops fuzz_shadow = {
	.cfs_check_preempt_wakeup	= (void *)any_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)any_entity,
	.cfs_check_preempt_tick		= (void *)any_tick,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "fuzz_shadow",
};

char _license[] SEC("license") = "GPL";
