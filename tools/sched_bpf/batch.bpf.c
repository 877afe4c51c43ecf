// SPDX-License-Identifier: GPL-2.0
/*
 * Lets no wakee preempt the tasks of a cgroup, for throughput: they run until their slices
 * end. Wakees wait for up to a slice. Kernel threads preempt as before.
 *
 *	sched-bpf attach batch --cgroup /sys/fs/cgroup/batch
 *	bpftool prog loadall batch.bpf.o /sys/fs/bpf/batch autoattach	(all tasks)
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("sched/cfs_check_preempt_wakeup")
int BPF_PROG(batch, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     struct cgroup *cgrp)
{
	return bpf_task_under_cgroup(curr, cgrp) ? BPF_SCHED_NO_PREEMPT : BPF_SCHED_PASS;
}

char LICENSE[] SEC("license") = "GPL";
