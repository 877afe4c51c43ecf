// SPDX-License-Identifier: GPL-2.0
/*
 * What policies may ask of CPUs, for placement: kfuncs for those in BPF, exported for
 * those in Rust. No lock is taken, so an answer may be over when it is used.
 */

#include <linux/btf.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/topology.h>

#include "../sched.h"

/* cpu_possible() is for numbers that a mask of CPUs has. */
static bool is_cpu(u32 cpu)
{
	return cpu < nr_cpu_ids && cpu_possible(cpu);
}

__bpf_kfunc_start_defs();

/**
 * bpf_sched_cpu_is_idle() - has this CPU nothing to run?
 * @cpu: number of a CPU
 *
 * Return: 1 if it is idle, nothing is on its way to it, and, in a virtual machine, the
 * host runs it; 0 if not; -EINVAL if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpu_is_idle(u32 cpu)
{
	return is_cpu(cpu) ? available_idle_cpu(cpu) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpu_is_idle, "SCHED_BPF");

/**
 * bpf_sched_cpu_nr_runnable() - how many tasks want this CPU?
 * @cpu: number of a CPU
 *
 * Return: the number of its runnable tasks of the fair class, the running one
 * included; -EINVAL if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpu_nr_runnable(u32 cpu)
{
	return is_cpu(cpu) ? READ_ONCE(cpu_rq(cpu)->cfs.h_nr_runnable) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpu_nr_runnable, "SCHED_BPF");

/**
 * bpf_sched_cpu_capacity() - how much does this CPU have for the fair class?
 * @cpu: number of a CPU
 *
 * Return: of SCHED_CAPACITY_SCALE (1024), which is the fastest CPU with nothing else to
 * do: what real-time tasks, interrupts and thermal pressure leave, as the balancer last saw it;
 * -EINVAL if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpu_capacity(u32 cpu)
{
	return is_cpu(cpu) ? READ_ONCE(cpu_rq(cpu)->cpu_capacity) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpu_capacity, "SCHED_BPF");

/**
 * bpf_sched_cpu_node() - which NUMA node is this CPU of?
 * @cpu: number of a CPU
 *
 * Return: the number of the node; -EINVAL if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpu_node(u32 cpu)
{
	return is_cpu(cpu) ? cpu_to_node(cpu) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpu_node, "SCHED_BPF");

/**
 * bpf_sched_cpus_share_cache() - do these CPUs share their last level cache?
 * @cpu: number of a CPU
 * @other: number of another
 *
 * Return: 1 if they do, or are the same; 0 if not; -EINVAL if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpus_share_cache(u32 cpu, u32 other)
{
	return is_cpu(cpu) && is_cpu(other) ? cpus_share_cache(cpu, other) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpus_share_cache, "SCHED_BPF");

__bpf_kfunc_end_defs();
