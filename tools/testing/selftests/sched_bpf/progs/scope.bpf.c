// SPDX-License-Identifier: GPL-2.0
/* Policies that note the cgroups of the calls for one pair of tasks. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAX_ORDER	64

__u32 curr_pid, wakee_pid;
__u64 order[MAX_ORDER];
__u32 nr_order;

/* All calls, and those of the second policy for tasks outside of the cgroup. */
__u64 calls;
__u64 outside;

SEC("struct_ops")
int BPF_PROG(note_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     struct cgroup *cgrp)
{
	__u32 n = nr_order;

	__sync_fetch_and_add(&calls, 1);
	if (curr->pid == curr_pid && p->pid == wakee_pid && n < MAX_ORDER) {
		order[n] = cgrp->kn->id;
		nr_order = n + 1;
	}
	return 0;
}

SEC("struct_ops")
int BPF_PROG(check_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     struct cgroup *cgrp)
{
	__sync_fetch_and_add(&calls, 1);
	if (!bpf_task_under_cgroup(p, cgrp) && !bpf_task_under_cgroup(curr, cgrp))
		outside++;
	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops note = {
	.cfs_check_preempt_wakeup	= (void *)note_wakeup,
	.name				= "note",
};

SEC(".struct_ops.link")
struct bpf_sched_ops check = {
	.cfs_check_preempt_wakeup	= (void *)check_wakeup,
	.name				= "check",
};

char _license[] SEC("license") = "GPL";
