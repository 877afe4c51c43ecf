// SPDX-License-Identifier: GPL-2.0
/* A policy that returns random values. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

static int random_result(void)
{
	__u32 random = bpf_get_prandom_u32();
	int ret = bpf_get_prandom_u32();

	switch (random % 8) {
	case 0:
		ret = 0;
		break;
	case 1:
		ret = 1 + (random >> 8) % 2;
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
		/* Errors, which are negative values like others. */
		ret = -((random >> 8) % 4096);
		break;
	case 6:
		/* A slice, within its limits or not. */
		ret = (random >> 3) % 200000000;
		break;
	}

	return ret;
}

SEC("struct_ops")
int BPF_PROG(any_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags)
{
	return random_result();
}

SEC("struct_ops")
int BPF_PROG(any_entity, struct sched_entity *curr, struct sched_entity *se)
{
	return random_result();
}

SEC("struct_ops")
int BPF_PROG(any_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return random_result();
}

SEC("struct_ops")
int BPF_PROG(any_slice, struct sched_entity *se, u64 slice)
{
	return random_result();
}

SEC("struct_ops")
int BPF_PROG(any_select, struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu)
{
	return random_result();
}

SEC("struct_ops")
int BPF_PROG(any_migrate, struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot)
{
	return random_result();
}

SEC(".struct_ops.link")
struct bpf_sched_ops fuzz = {
	.cfs_check_preempt_wakeup	= (void *)any_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)any_entity,
	.cfs_check_preempt_tick		= (void *)any_tick,
	.cfs_slice			= (void *)any_slice,
	.cfs_select_cpu			= (void *)any_select,
	.cfs_can_migrate		= (void *)any_migrate,
	.name				= "fuzz",
};

SEC(".struct_ops.link")
struct bpf_sched_ops fuzz_shadow = {
	.cfs_check_preempt_wakeup	= (void *)any_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)any_entity,
	.cfs_check_preempt_tick		= (void *)any_tick,
	.cfs_slice			= (void *)any_slice,
	.cfs_select_cpu			= (void *)any_select,
	.cfs_can_migrate		= (void *)any_migrate,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "fuzz_shadow",
};

char _license[] SEC("license") = "GPL";
