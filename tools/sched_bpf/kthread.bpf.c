// SPDX-License-Identifier: GPL-2.0
/*
 * Lets kernel threads preempt at once when they wake up, instead of at the next tick: for
 * network and block devices whose work is done by threads of the kernel.
 *
 *	sched-bpf attach kthread --all
 *	bpftool prog loadall kthread.bpf.o /sys/fs/bpf/kthread autoattach
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define PF_KTHREAD	0x00200000

SEC("sched/cfs_check_preempt_wakeup")
int BPF_PROG(kthread, struct task_struct *curr, struct task_struct *p)
{
	return p->flags & PF_KTHREAD ? BPF_SCHED_PREEMPT_NOW : BPF_SCHED_PASS;
}

char LICENSE[] SEC("license") = "GPL";
