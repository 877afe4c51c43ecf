// SPDX-License-Identifier: GPL-2.0
/*
 * A policy without opinion that notes who asks about what: in which cgroup, in
 * which order, and how often by attachment.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAX_ORDER	64

/* Whose turns are noted. */
__u32 pid;

/* The cgroups of those asked about ticks of pid, or about the pair, in this order. */
__u64 order[MAX_ORDER];
__u32 nr_order;

/* Two tasks, and how often the policies of two cgroups were asked about them. */
__u32 curr_pid, wakee_pid;
__u64 pair_cgroup[2];
__u32 pair_calls[2];

/* State of an attachment, by the id of its handle. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} ticks SEC(".maps");

static void note_order(const struct bpf_sched_policy *this)
{
	__u32 n = nr_order;

	/* One task, one CPU: nobody else writes here. */
	if (n < MAX_ORDER) {
		order[n] = this->cgroup_id;
		nr_order = n + 1;
	}
}

SEC("struct_ops")
int BPF_PROG(note_tick, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	__u32 id = this->id;
	__u64 one = 1, *count;

	if ((__u32)bpf_sched_entity_to_tgidpid(curr) != pid)
		return 0;

	count = bpf_map_lookup_elem(&ticks, &id);
	if (count)
		++*count;
	else
		bpf_map_update_elem(&ticks, &id, &one, BPF_ANY);

	note_order(this);

	return 0;
}

SEC("struct_ops")
int BPF_PROG(note_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags,
	     const struct bpf_sched_policy *this)
{
	if (curr->pid == curr_pid && p->pid == wakee_pid) {
		pair_calls[0] += this->cgroup_id == pair_cgroup[0];
		pair_calls[1] += this->cgroup_id == pair_cgroup[1];
		note_order(this);
	}

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops note = {
	.cfs_check_preempt_tick		= (void *)note_tick,
	.name				= "note",
};

SEC(".struct_ops.link")
struct bpf_sched_ops note_all = {
	.cfs_check_preempt_wakeup	= (void *)note_wakeup,
	.cfs_check_preempt_tick		= (void *)note_tick,
	.name				= "note_all",
};

/* A single program, to be attached to a cgroup. */
SEC("sched/cfs_check_preempt_tick")
int BPF_PROG(alone, struct sched_entity *curr, unsigned long delta_exec)
{
	return 0;
}

char _license[] SEC("license") = "GPL";
