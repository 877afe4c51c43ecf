// SPDX-License-Identifier: GPL-2.0
/*
 * CPUs that tasks prefer, of which they leave for others only while all of these are busy:
 * softer than a cpuset, which lets them wait beside an idle CPU. Attach it to the cgroup that
 * it is for and say which CPUs: for a batch job, those that a service does not use, say:
 *
 *	sched-bpf attach prefer.bpf.o --cgroup /sys/fs/cgroup/batch --set cpus=0xf0
 *
 * Whoever waits moves to an idle CPU, wherever it is, if none is idle of those preferred,
 * and back as soon as one of them is. Nothing is said of a task that is alone on its CPU: it
 * moves when it wakes up. If none of these CPUs is there, nothing changes.
 *
 * Not to keep others from these CPUs: a cpuset of theirs is for that. Not for more than 64
 * CPUs, or rather the first 64.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Set before the policy is loaded: a bit for each CPU that is preferred. */
const volatile u64 cpus;

#define MAX_CPUS	64

static bool is_preferred(u64 cpu)
{
	return cpu < MAX_CPUS && cpus >> cpu & 1;
}

/* Can @p run there at once? */
static bool is_free(struct task_struct *p, u32 cpu)
{
	return is_preferred(cpu) && bpf_cpumask_test_cpu(cpu, p->cpus_ptr) &&
	       bpf_sched_cpu_is_idle(cpu) == 1;
}

/* One of the preferred CPUs where it can run at once, or -1. */
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

	/* What it left in the caches there. */
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

	/* One that is preferred asks for it in a moment. */
	return free_cpu(p) < 0 ? 0 : -1;
}

SEC(".struct_ops.link")
struct bpf_sched_ops prefer = {
	.cfs_select_cpu		= (void *)prefer_select,
	.cfs_can_migrate	= (void *)prefer_migrate,
	.name			= "prefer",
};

char LICENSE[] SEC("license") = "GPL";
