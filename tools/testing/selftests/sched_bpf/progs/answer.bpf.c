// SPDX-License-Identifier: GPL-2.0
/*
 * A policy whose answers the test sets: one table with all hooks, and one for
 * each hook alone.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* The answer of each hook, and the process that it is given for; 0: any. */
int wakeup_answer;
int entity_answer;
int tick_answer;
__u32 only_tgid;

/* The last "this" seen, by hook. */
__u32 wakeup_this;
__u32 entity_this;
__u32 tick_this;

/* Who ran on the CPU where a task of only_tgid woke up: its tgid. */
__u32 curr_of_wakee;

/* The longest run that was reported to the tick hook, in nanoseconds. */
__u64 max_delta_exec;

static bool is_entity_of_tgid(struct sched_entity *se)
{
	return !only_tgid || bpf_sched_entity_to_tgidpid(se) >> 32 == only_tgid;
}

SEC("struct_ops")
int BPF_PROG(answer_wakeup, struct task_struct *curr, struct task_struct *p,
	     const struct bpf_sched_policy *this)
{
	wakeup_this = this->id;

	if (only_tgid && p->tgid == only_tgid)
		curr_of_wakee = curr->tgid;

	if (only_tgid && p->tgid != only_tgid && curr->tgid != only_tgid)
		return 0;

	return wakeup_answer;
}

SEC("struct_ops")
int BPF_PROG(answer_entity, struct sched_entity *curr, struct sched_entity *se,
	     const struct bpf_sched_policy *this)
{
	entity_this = this->id;

	if (only_tgid && is_entity_of_tgid(se))
		curr_of_wakee = bpf_sched_entity_to_tgidpid(curr) >> 32;

	if (!is_entity_of_tgid(se) && !is_entity_of_tgid(curr))
		return 0;

	return entity_answer;
}

SEC("struct_ops")
int BPF_PROG(answer_tick, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	tick_this = this->id;

	if (!is_entity_of_tgid(curr))
		return 0;

	if (delta_exec > max_delta_exec)
		max_delta_exec = delta_exec;

	return tick_answer;
}

SEC(".struct_ops.link")
struct bpf_sched_ops all_hooks = {
	.cfs_check_preempt_wakeup	= (void *)answer_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)answer_entity,
	.cfs_check_preempt_tick		= (void *)answer_tick,
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

/* The same, in the shadow. */
SEC(".struct_ops.link")
struct bpf_sched_ops shadow_all = {
	.cfs_check_preempt_wakeup	= (void *)answer_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)answer_entity,
	.cfs_check_preempt_tick		= (void *)answer_tick,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "shadow_all",
};

SEC(".struct_ops.link")
struct bpf_sched_ops shadow_wakeup = {
	.cfs_check_preempt_wakeup	= (void *)answer_wakeup,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "shadow_wakeup",
};

SEC(".struct_ops.link")
struct bpf_sched_ops shadow_tick = {
	.cfs_check_preempt_tick		= (void *)answer_tick,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "shadow_tick",
};

char _license[] SEC("license") = "GPL";
