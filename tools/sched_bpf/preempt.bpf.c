// SPDX-License-Identifier: GPL-2.0
/*
 * Lets the tasks of a cgroup preempt all others when they wake up, at once instead of at the
 * next tick. A wakee that has had more than its share does not preempt.
 *
 *	sched-bpf attach preempt --cgroup /sys/fs/cgroup/web
 *	bpftool prog loadall preempt.bpf.o /sys/fs/bpf/preempt autoattach	(no effect:
 *		all tasks are in the root cgroup)
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("sched/cfs_check_preempt_wakeup")
int BPF_PROG(preempt, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     struct cgroup *cgrp)
{
	if (!bpf_task_under_cgroup(p, cgrp) || bpf_task_under_cgroup(curr, cgrp))
		return BPF_SCHED_PASS;

	return BPF_SCHED_PREEMPT_NOW;
}

char LICENSE[] SEC("license") = "GPL";
