// SPDX-License-Identifier: GPL-2.0
/*
 * Protects and prefers a target: a task, a process, the cgroup that it is attached to
 * with all below it, or every task.
 *
 * - A wakee of the target preempts a task outside it at once; the reverse is refused.
 * - A running task of the target keeps its CPU until it has run for the cap.
 * - Of two tasks that are both in the target, or both not, EEVDF decides.
 * - If every task is the target no wakee preempts.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum mode {
	MODE_PID,
	MODE_TGID,
	MODE_CGROUP,
	MODE_ALL,
};

/* Set before the policy is loaded. */
const volatile u32 mode = MODE_ALL;
const volatile u64 target;		/* pid or tgid, by mode */
const volatile u64 cap_ns = 10 * 1000 * 1000;

static bool in_target(struct sched_entity *se, const struct bpf_sched_policy *this)
{
	switch (mode) {
	case MODE_PID:
		return (u32)bpf_sched_entity_to_tgidpid(se) == target;
	case MODE_TGID:
		return bpf_sched_entity_to_tgidpid(se) >> 32 == target;
	case MODE_CGROUP:
		return bpf_sched_entity_belongs_to_cgrp(se, this->cgroup_id);
	default:
		return true;
	}
}

static int wakeup_answer(struct sched_entity *curr, struct sched_entity *se,
			 const struct bpf_sched_policy *this)
{
	int more;

	if (mode == MODE_ALL)
		return -1;

	more = in_target(se, this) - in_target(curr, this);
	/* A preemption that is lazy waits for the tick, if who runs makes no system call. */
	return more > 0 ? BPF_SCHED_PREEMPT_NOW : more;
}

SEC("struct_ops")
int BPF_PROG(protect_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     const struct bpf_sched_policy *this)
{
	return wakeup_answer(&curr->se, &p->se, this);
}

SEC("struct_ops")
int BPF_PROG(protect_entity, struct sched_entity *curr, struct sched_entity *se,
	     u64 wake_flags, const struct bpf_sched_policy *this)
{
	return wakeup_answer(curr, se, this);
}

SEC("struct_ops")
int BPF_PROG(protect_tick, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	if (delta_exec >= cap_ns || !in_target(curr, this))
		return 0;

	return -1;
}

SEC(".struct_ops.link")
struct bpf_sched_ops protect = {
	.cfs_check_preempt_wakeup	= (void *)protect_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)protect_entity,
	.cfs_check_preempt_tick		= (void *)protect_tick,
	.name				= "protect",
};

char LICENSE[] SEC("license") = "GPL";
