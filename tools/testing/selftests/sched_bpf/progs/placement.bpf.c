// SPDX-License-Identifier: GPL-2.0
/* A policy that places the tasks of the test, by what the test sets. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "placement.h"

/* Of this process, its children and theirs. */
__u32 parent_tgid;

enum place place;
int select_answer;
int migrate_answer;

__u64 selects, forks, execs, migrates, hots;	/* calls */
__u64 stock[2];			/* calls by the default CPU */
__u64 moves[2][2];		/* calls by source and destination */
__u64 queued;			/* calls for a task that is on an rq and does not run */
__u64 woken_on[2];		/* wakeups by CPU */

static bool is_of_test(struct task_struct *p)
{
	return p->tgid == parent_tgid || p->real_parent->tgid == parent_tgid ||
	       p->real_parent->real_parent->tgid == parent_tgid;
}

SEC("struct_ops")
int BPF_PROG(place_select, struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu)
{
	if (!is_of_test(p))
		return 0;

	selects++;
	forks += !!(wake_flags & BPF_SCHED_WAKE_FORK);
	execs += p == bpf_get_current_task_btf();
	queued += p->on_rq && p != bpf_get_current_task_btf();
	stock[stock_cpu & 1]++;

	switch (place) {
	case OTHER:
		return BPF_SCHED_CPU_0 + !prev_cpu;
	case ANY:
		return bpf_get_prandom_u32() % 4;
	default:
		return select_answer;
	}
}

SEC("struct_ops")
int BPF_PROG(place_migrate, struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot)
{
	if (!is_of_test(p))
		return 0;

	migrates++;
	hots += hot;
	moves[src_cpu & 1][dst_cpu & 1]++;

	return place == ANY ? (int)(bpf_get_prandom_u32() % 3) - 1 : migrate_answer;
}

static int note_wakeup(struct task_struct *p)
{
	if (is_of_test(p))
		woken_on[p->thread_info.cpu & 1]++;

	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(note_wakee, struct task_struct *p)
{
	return note_wakeup(p);
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(note_new, struct task_struct *p)
{
	return note_wakeup(p);
}

SEC(".struct_ops.link")
struct bpf_sched_ops both = {
	.cfs_select_cpu		= (void *)place_select,
	.cfs_can_migrate	= (void *)place_migrate,
	.name			= "place",
};

SEC(".struct_ops.link")
struct bpf_sched_ops only_select = {
	.cfs_select_cpu		= (void *)place_select,
	.name			= "place_select",
};

SEC(".struct_ops.link")
struct bpf_sched_ops only_migrate = {
	.cfs_can_migrate	= (void *)place_migrate,
	.name			= "place_migrate",
};

SEC(".struct_ops.link")
struct bpf_sched_ops shadow = {
	.cfs_select_cpu		= (void *)place_select,
	.cfs_can_migrate	= (void *)place_migrate,
	.flags			= BPF_SCHED_F_SHADOW,
	.name			= "place_shadow",
};

char LICENSE[] SEC("license") = "GPL";
