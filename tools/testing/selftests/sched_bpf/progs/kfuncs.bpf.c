// SPDX-License-Identifier: GPL-2.0
/* Records what the entity kfuncs return for one process. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kfuncs.h"

__u32 target;			/* tgid of the process */
__u64 cgroups[NR_CGROUPS];	/* ids to be compared with */

__u64 seen;
struct entity_view task;		/* from the tick hook */
__u64 woken;
struct entity_view wakee;		/* from &p->se in the wakeup hook */
struct entity_view waker;		/* from another CPU */
__u64 disagreed;			/* how often lag and eligible did */

static void look(struct sched_entity *se, struct entity_view *view)
{
	int i;

	view->tgidpid = bpf_sched_entity_to_tgidpid(se);
	view->cgrpid = bpf_sched_entity_to_cgrpid(se);
	for (i = 0; i < NR_CGROUPS; i++)
		view->belongs[i] = bpf_sched_entity_belongs_to_cgrp(se, cgroups[i]);
	view->lag = bpf_sched_entity_lag(se);
	view->eligible = bpf_sched_entity_eligible(se);
	view->nr_runnable = bpf_sched_entity_nr_runnable(se);
	/* The average is rounded: an entity that is near it may be on either side. */
	if (view->eligible >= 0 && (view->lag > 1000 || view->lag < -1000))
		disagreed += view->eligible != (view->lag > 0);
}

SEC("struct_ops")
int BPF_PROG(look_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	if (bpf_sched_entity_to_tgidpid(curr) >> 32 != target)
		return 0;

	look(curr, &task);
	seen++;

	return 0;
}

SEC("struct_ops")
int BPF_PROG(look_wakeup, struct task_struct *curr, struct task_struct *p)
{
	struct task_struct *current = bpf_get_current_task_btf();

	if (p->tgid == target) {
		look(&p->se, &wakee);
		if (current->thread_info.cpu != curr->thread_info.cpu)
			look(&current->se, &waker);
		woken++;
	}

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops look_all = {
	.cfs_check_preempt_tick		= (void *)look_tick,
	.cfs_check_preempt_wakeup	= (void *)look_wakeup,
	.name				= "look",
};

char _license[] SEC("license") = "GPL";
