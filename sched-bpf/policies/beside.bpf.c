// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a wakee on its waker's CPU if the waker is about to sleep (WF_SYNC) and no other task
 * is runnable there: for requests that pass through several tasks, one after the other, by
 * pipes or sockets. The fair class often finds an idle CPU for the wakee; waking that CPU up
 * takes longer than waiting for the waker to sleep.
 *
 * Not for wakers that run on for long: the wakee waits until the load balancer migrates it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern const struct rq runqueues __ksym;

SEC("struct_ops")
int BPF_PROG(beside_select, struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu)
{
	const struct rq *rq = bpf_this_cpu_ptr(&runqueues);
	u32 cpu = bpf_get_smp_processor_id();

	if (!(wake_flags & BPF_SCHED_WAKE_SYNC) || !bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
		return 0;

	return rq->cfs.h_nr_runnable == 1 ? BPF_SCHED_CPU_0 + cpu : 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops beside = {
	.cfs_select_cpu	= (void *)beside_select,
	.name		= "beside",
};

char LICENSE[] SEC("license") = "GPL";
