// SPDX-License-Identifier: GPL-2.0
/*
 * Prefers some CPUs for tasks, which leave them only while all of these are busy: softer than
 * a cpuset, under which tasks wait next to an idle CPU. Attach it to the cgroup that it is for:
 * a batch job prefers the CPUs that a service does not use, for example:
 *
 *	sched-bpf attach prefer --cgroup /sys/fs/cgroup/batch --set cpus=0xf0
 *
 * A waiting task is migrated to any idle CPU if no preferred CPU is idle, and back as soon as
 * one is. A task that is alone on its CPU is migrated when it wakes up. If none of these CPUs
 * exists, nothing changes.
 *
 * Not for keeping other tasks off these CPUs: set a cpuset of theirs for that. It looks at the
 * first 64 CPUs.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern const struct rq runqueues __ksym;

/* Set before the policy is loaded: a bit for each CPU that is preferred. */
const volatile u64 cpus;

#define MAX_CPUS	64

static bool is_preferred(u64 cpu)
{
	return cpu < MAX_CPUS && cpus >> cpu & 1;
}

/* Return true if no task runs on @cpu and none is about to be enqueued. */
static bool is_idle(u32 cpu)
{
	const struct rq *rq = bpf_per_cpu_ptr(&runqueues, cpu);

	return rq && !rq->nr_running && !rq->ttwu_pending;
}

/* Return true if @p can run there at once. */
static bool is_free(struct task_struct *p, u32 cpu)
{
	return is_preferred(cpu) && bpf_cpumask_test_cpu(cpu, p->cpus_ptr) &&
	       is_idle(cpu);
}

/* Return a preferred CPU where @p can run at once, or -1. */
static int free_cpu(struct task_struct *p)
{
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (is_free(p, cpu))
			return cpu;

	return -1;
}

SEC("struct_ops")
int BPF_PROG(prefer_select, struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu)
{
	int cpu;

	if (is_preferred(stock_cpu))
		return 0;

	/* Its data may still be in the caches there. */
	if (is_free(p, prev_cpu))
		return BPF_SCHED_CPU_0 + prev_cpu;

	cpu = free_cpu(p);
	return cpu < 0 ? 0 : BPF_SCHED_CPU_0 + cpu;
}

SEC("struct_ops")
int BPF_PROG(prefer_migrate, struct task_struct *p, u64 src_cpu, u64 dst_cpu)
{
	bool from = is_preferred(src_cpu), to = is_preferred(dst_cpu);

	if (from == to)
		return 0;
	if (to)
		return 1;

	/* A preferred CPU pulls it in a moment. */
	return free_cpu(p) < 0 ? 0 : -1;
}

SEC(".struct_ops.link")
struct bpf_sched_ops prefer = {
	.cfs_select_cpu		= (void *)prefer_select,
	.cfs_can_migrate	= (void *)prefer_migrate,
	.name			= "prefer",
};

char LICENSE[] SEC("license") = "GPL";
