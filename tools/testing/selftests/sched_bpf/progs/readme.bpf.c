// SPDX-License-Identifier: GPL-2.0
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 batch; /* id of the cgroup whose tasks are not preempted */

SEC("sched/cfs_check_preempt_wakeup")
int BPF_PROG(protect_batch, struct task_struct *curr, struct task_struct *p)
{
	if (bpf_sched_entity_belongs_to_cgrp(&p->se, batch))
		return 0;
	return bpf_sched_entity_belongs_to_cgrp(&curr->se, batch) ? -1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
