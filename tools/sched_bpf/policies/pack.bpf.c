// SPDX-License-Identifier: GPL-2.0
/*
 * Few CPUs for little work: who wakes up runs on the first of its CPUs that is idle, so that
 * the last ones sleep for long, and deeply. Nobody waits for that: if none is idle, the fair
 * class decides.
 *
 * For machines that are idle for the most part. Not where requests have to be fast: the CPU
 * where the data of a task is cached is not looked for, and siblings of a core are filled one
 * after the other, if they are numbered so. It looks at the first 64 CPUs.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAX_CPUS	64

SEC("struct_ops")
int BPF_PROG(pack_select, struct task_struct *p)
{
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr) && bpf_sched_cpu_is_idle(cpu) == 1)
			return BPF_SCHED_CPU_0 + cpu;

	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops pack = {
	.cfs_select_cpu	= (void *)pack_select,
	.name		= "pack",
};

char LICENSE[] SEC("license") = "GPL";
