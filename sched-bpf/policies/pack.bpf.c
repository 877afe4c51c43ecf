// SPDX-License-Identifier: GPL-2.0
/*
 * Packs little work on few CPUs: a wakee runs on the first of its CPUs that is idle, so that
 * the last ones stay idle for long, and deeply. If none is idle, the default is kept.
 *
 * For machines that are idle for the most part. Not where latency matters: the policy does not
 * look for the CPU where the data of a task is cached, and it fills the siblings of a core one
 * after the other if they are numbered so. It looks at the first 64 CPUs.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAX_CPUS	64

extern const struct rq runqueues __ksym;

/* Return true if no task runs on @cpu and none is about to be enqueued. */
static bool is_idle(u32 cpu)
{
	const struct rq *rq = bpf_per_cpu_ptr(&runqueues, cpu);

	return rq && !rq->nr_running && !rq->ttwu_pending;
}

SEC("struct_ops")
int BPF_PROG(pack_select, struct task_struct *p)
{
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr) && is_idle(cpu))
			return BPF_SCHED_CPU_0 + cpu;

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops pack = {
	.cfs_select_cpu	= (void *)pack_select,
	.name		= "pack",
};

char LICENSE[] SEC("license") = "GPL";
