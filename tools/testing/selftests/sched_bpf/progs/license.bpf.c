// SPDX-License-Identifier: GPL-2.0
/* A program that must be rejected for its license. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("sched/cfs_check_preempt_wakeup")
int BPF_PROG(not_gpl, struct task_struct *curr, struct task_struct *p)
{
	return 0;
}

char _license[] SEC("license") = "Proprietary";
