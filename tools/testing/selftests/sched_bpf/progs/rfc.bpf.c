// SPDX-License-Identifier: GPL-2.0
/*
 * Written as for the proposal of 2021: no ops, one program per hook, kfuncs without a
 * declaration. It must build and attach unchanged.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

unsigned long tgidpid;
unsigned long cgid;

SEC("sched/cfs_check_preempt_wakeup")
int BPF_PROG(wakeup, struct task_struct *curr, struct task_struct *p)
{
	if (tgidpid) {
		if (((unsigned long)curr->tgid << 32 | curr->pid) == tgidpid)
			return -1;
		if (((unsigned long)p->tgid << 32 | p->pid) == tgidpid)
			return 1;
	} else if (cgid) {
		if (bpf_sched_entity_belongs_to_cgrp(&curr->se, cgid))
			return -1;
		if (bpf_sched_entity_belongs_to_cgrp(&p->se, cgid))
			return 1;
	}

	return 0;
}

SEC("sched/cfs_wakeup_preempt_entity")
int BPF_PROG(preempt_entity, struct sched_entity *curr, struct sched_entity *se)
{
	if (!curr || !se)
		return 0;

	if (tgidpid) {
		if (bpf_sched_entity_to_tgidpid(curr) == tgidpid)
			return -1;
		if (bpf_sched_entity_to_tgidpid(se) == tgidpid)
			return 1;
	} else if (cgid) {
		if (bpf_sched_entity_to_cgrpid(curr) == cgid)
			return -1;
		if (bpf_sched_entity_belongs_to_cgrp(se, cgid))
			return 1;
	}

	return 0;
}

SEC("sched/cfs_check_preempt_tick")
int BPF_PROG(tick, struct sched_entity *curr, unsigned long delta_exec)
{
	if (delta_exec > 20 * 1000 * 1000)
		return 0;

	if (tgidpid) {
		if (bpf_sched_entity_to_tgidpid(curr) == tgidpid)
			return -1;
	} else if (cgid) {
		if (bpf_sched_entity_belongs_to_cgrp(curr, cgid))
			return -1;
	}

	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
