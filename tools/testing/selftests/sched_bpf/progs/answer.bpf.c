// SPDX-License-Identifier: GPL-2.0
/*
 * Policies whose return values the test sets: one with all hooks, and one for each
 * hook.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* What each hook returns, and the process that it does so for; 0: any. */
int wakeup_answer;
int entity_answer;
int tick_answer;
int slice_answer;
__u32 only_tgid;

/* tgid of the current task of the CPU on which a task of only_tgid woke */
__u32 curr_of_wakee;

/* All flags of these wakeups. */
__u64 seen_wake_flags;

/* How often these wakeups set which TIF_* flag of the CPU. Filled in by note_resched. */
__u64 resched_flags[32];
int called_for_cpu = -1;

/* The longest time since a pick that the tick hook saw, in nanoseconds. */
__u64 max_delta_exec;

/* The last argument of the slice hook. */
__u64 base_slice;

/* Calls for only_tgid. */
__u64 wakeup_calls;
__u64 entity_calls;
__u64 tick_calls;
__u64 slice_calls;

static bool is_entity_of_tgid(struct sched_entity *se)
{
	return !only_tgid || bpf_sched_entity_to_tgidpid(se) >> 32 == only_tgid;
}

static int cpu_of(struct sched_entity *se)
{
	struct task_struct *p = (void *)se - bpf_core_field_offset(struct task_struct, se);

	return BPF_CORE_READ(p, thread_info.cpu);
}

/* Runs right after the hook, under the same lock. */
SEC("?tp_btf/sched_set_need_resched_tp")
int BPF_PROG(note_resched, struct task_struct *curr, int cpu, int flag)
{
	if (cpu == called_for_cpu) {
		called_for_cpu = -1;
		resched_flags[flag & 31]++;
	}

	return 0;
}

SEC("struct_ops")
int BPF_PROG(answer_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags)
{
	if (only_tgid && p->tgid == only_tgid)
		curr_of_wakee = curr->tgid;

	if (only_tgid && p->tgid != only_tgid && curr->tgid != only_tgid)
		return 0;

	wakeup_calls++;
	seen_wake_flags |= wake_flags;
	called_for_cpu = curr->thread_info.cpu;

	return wakeup_answer;
}

SEC("struct_ops")
int BPF_PROG(answer_entity, struct sched_entity *curr, struct sched_entity *se)
{
	if (only_tgid && is_entity_of_tgid(se))
		curr_of_wakee = bpf_sched_entity_to_tgidpid(curr) >> 32;

	if (!is_entity_of_tgid(se) && !is_entity_of_tgid(curr))
		return 0;

	entity_calls++;
	called_for_cpu = cpu_of(se);

	return entity_answer;
}

SEC("struct_ops")
int BPF_PROG(answer_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	if (!is_entity_of_tgid(curr))
		return 0;

	tick_calls++;
	if (delta_exec > max_delta_exec)
		max_delta_exec = delta_exec;

	return tick_answer;
}

SEC("struct_ops")
int BPF_PROG(answer_slice, struct sched_entity *se, u64 slice)
{
	if (!is_entity_of_tgid(se))
		return 0;

	slice_calls++;
	base_slice = slice;

	return slice_answer;
}

SEC(".struct_ops.link")
struct bpf_sched_ops all_hooks = {
	.cfs_check_preempt_wakeup	= (void *)answer_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)answer_entity,
	.cfs_check_preempt_tick		= (void *)answer_tick,
	.cfs_slice			= (void *)answer_slice,
	.name				= "answer_all",
};

SEC(".struct_ops.link")
struct bpf_sched_ops only_wakeup = {
	.cfs_check_preempt_wakeup	= (void *)answer_wakeup,
	.name				= "answer_wakeup",
};

SEC(".struct_ops.link")
struct bpf_sched_ops only_entity = {
	.cfs_wakeup_preempt_entity	= (void *)answer_entity,
	.name				= "answer_entity",
};

SEC(".struct_ops.link")
struct bpf_sched_ops only_tick = {
	.cfs_check_preempt_tick		= (void *)answer_tick,
	.name				= "answer_tick",
};

SEC(".struct_ops.link")
struct bpf_sched_ops only_slice = {
	.cfs_slice			= (void *)answer_slice,
	.name				= "answer_slice",
};

char _license[] SEC("license") = "GPL";
