// SPDX-License-Identifier: GPL-2.0
/*
 * Gives every wakee a short slice: no task is declared interactive, and a task that turns out
 * to be CPU-bound loses the short slice once it has run for short_ns. A wakee with a shorter
 * slice than that of the current task preempts it, at once if that one is CPU-bound, unless the
 * wakee has had more than its share. So does a task that has waited for its share, at a tick.
 *
 * CPU-bound tasks have slices as without a policy. The longest waits are those of tasks that
 * have just been CPU-bound: their lag is negative by one such slice at most.
 *
 * For hosts where many unlike tasks share CPUs, and for services at full load whose threads
 * wake each other for each request. A short slice for all tasks (base_slice_ns), or for the
 * threads of such a service if they are known, does most of that. Not if all tasks are alike:
 * none is preferred then, and short slices only cost switches. Not for a task that needs more
 * than its share: raise its weight.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Set before the policy is loaded, in nanoseconds. */
const volatile u64 short_ns = 1000 * 1000;	/* a task that has run so long is not interactive */
const volatile u64 slice_ns = 350 * 1000;	/* its slice; most turns fit in one */

struct run {
	u64 woke_at;	/* its sum_exec_runtime then, in nanoseconds */
	u64 sleeps;	/* how often it had slept then */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);	/* thread id */
	__type(value, struct run);
} runs SEC(".maps");

extern u32 bpf_sched_entity_nr_runnable(struct sched_entity *se) __ksym;

/* Return how often the task of an entity has slept. */
static u64 sleeps_of(struct sched_entity *se)
{
	void *task = (void *)se - bpf_core_field_offset(struct task_struct, se);
	struct task_struct *p = bpf_rdonly_cast(task, bpf_core_type_id_kernel(struct task_struct));

	return p->nvcsw;
}

/* Return true if it has run only briefly since it woke up; @exec is its run time in all. */
static bool is_short(const struct run *run, u64 exec)
{
	return exec - run->woke_at < short_ns;
}

SEC("struct_ops")
int BPF_PROG(learned_slice, struct sched_entity *se)
{
	struct run now = { se->sum_exec_runtime, sleeps_of(se) };
	u32 tid = bpf_sched_entity_to_tgidpid(se);
	struct run *run = bpf_map_lookup_elem(&runs, &tid);

	if (!run) {
		bpf_map_update_elem(&runs, &tid, &now, BPF_NOEXIST);
		return 0;
	}

	/* It has slept, or its id belonged to another thread. */
	if (now.sleeps != run->sleeps || now.woke_at < run->woke_at)
		*run = now;

	return is_short(run, now.woke_at) ? slice_ns : 0;
}

/* A lazy preemption waits for the tick unless the current task makes a system call. */
SEC("struct_ops")
int BPF_PROG(learned_wakeup, struct task_struct *curr)
{
	u32 tid = bpf_sched_entity_to_tgidpid(&curr->se);
	struct run *run = bpf_map_lookup_elem(&runs, &tid);

	if (!run || is_short(run, curr->se.sum_exec_runtime))
		return BPF_SCHED_PASS;

	return BPF_SCHED_PREEMPT_NOW;
}

SEC("struct_ops")
int BPF_PROG(learned_tick, struct sched_entity *curr)
{
	return bpf_sched_entity_nr_runnable(curr) > 1;
}

SEC(".struct_ops.link")
struct bpf_sched_ops learned = {
	.cfs_check_preempt_wakeup	= (void *)learned_wakeup,
	.cfs_check_preempt_tick		= (void *)learned_tick,
	.cfs_slice			= (void *)learned_slice,
	.name				= "learned",
};

char LICENSE[] SEC("license") = "GPL";
