// SPDX-License-Identifier: GPL-2.0
/*
 * Protects and prefers a target: a thread, a process, or the cgroup that it is attached to.
 *
 * - A wakee of the target preempts a task outside it at once; the reverse is refused.
 * - A running task of the target keeps its CPU until it has run for the cap.
 * - Between two tasks that are both in the target, or both not, EEVDF decides.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum mode {
	MODE_TID,
	MODE_PID,
	MODE_CGROUP,
};

/* Set before the policy is loaded. */
const volatile u32 mode = MODE_CGROUP;
const volatile u64 target;		/* thread or process id, by mode */
const volatile u64 cap_ns = 10 * 1000 * 1000;

static bool in_target(struct sched_entity *se, struct cgroup *cgrp)
{
	switch (mode) {
	case MODE_TID:
		return (u32)bpf_sched_entity_to_tgidpid(se) == target;
	case MODE_PID:
		return bpf_sched_entity_to_tgidpid(se) >> 32 == target;
	default:
		return bpf_sched_entity_belongs_to_cgrp(se, cgrp->kn->id);
	}
}

static int wakeup(struct sched_entity *curr, struct sched_entity *se, struct cgroup *cgrp)
{
	int more = in_target(se, cgrp) - in_target(curr, cgrp);

	/* A lazy preemption waits for the tick unless the current task makes a system call. */
	return more > 0 ? BPF_SCHED_PREEMPT_NOW : more;
}

SEC("struct_ops")
int BPF_PROG(protect_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     struct cgroup *cgrp)
{
	return wakeup(&curr->se, &p->se, cgrp);
}

SEC("struct_ops")
int BPF_PROG(protect_entity, struct sched_entity *curr, struct sched_entity *se,
	     struct cgroup *cgrp)
{
	return wakeup(curr, se, cgrp);
}

SEC("struct_ops")
int BPF_PROG(protect_tick, struct sched_entity *curr, unsigned long delta_exec,
	     struct cgroup *cgrp)
{
	if (delta_exec >= cap_ns || !in_target(curr, cgrp))
		return BPF_SCHED_PASS;

	return BPF_SCHED_EXTEND;
}

SEC(".struct_ops.link")
struct bpf_sched_ops protect = {
	.cfs_check_preempt_wakeup	= (void *)protect_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)protect_entity,
	.cfs_check_preempt_tick		= (void *)protect_tick,
	.name				= "protect",
};

char LICENSE[] SEC("license") = "GPL";
