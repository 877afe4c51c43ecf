// SPDX-License-Identifier: GPL-2.0
/*
 * What policies can call about CPUs, for placement. No lock is taken: the state of a
 * CPU may change before the result is used.
 */

#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/topology.h>

#include "../sched.h"
#include "internal.h"

/* cpu_possible() takes only numbers that a mask of CPUs has. */
static bool is_cpu(u32 cpu)
{
	return cpu < nr_cpu_ids && cpu_possible(cpu);
}

__bpf_kfunc_start_defs();

/**
 * bpf_sched_cpu_is_idle() - test whether a CPU is idle
 * @cpu: number of a CPU
 *
 * Return: 1 if it is idle, nothing is about to be enqueued on it and, in a virtual
 * machine, the host runs it; 0 if not; -EINVAL if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpu_is_idle(u32 cpu)
{
	return is_cpu(cpu) ? available_idle_cpu(cpu) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpu_is_idle, "SCHED_BPF");

/**
 * bpf_sched_cpu_nr_runnable() - count the runnable tasks of a CPU
 * @cpu: number of a CPU
 *
 * Return: the number of runnable fair tasks, the current one included; -EINVAL
 * if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpu_nr_runnable(u32 cpu)
{
	return is_cpu(cpu) ? READ_ONCE(cpu_rq(cpu)->cfs.h_nr_runnable) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpu_nr_runnable, "SCHED_BPF");

/**
 * bpf_sched_cpu_capacity() - get the capacity of a CPU for fair tasks
 * @cpu: number of a CPU
 *
 * Return: the capacity that real-time tasks, interrupts and thermal pressure leave,
 * as the balancer last saw it, where SCHED_CAPACITY_SCALE (1024) is the fastest
 * CPU when it is idle; -EINVAL if there is no such CPU.
 */
__bpf_kfunc int bpf_sched_cpu_capacity(u32 cpu)
{
	return is_cpu(cpu) ? READ_ONCE(cpu_rq(cpu)->cpu_capacity) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpu_capacity, "SCHED_BPF");

/**
 * bpf_sched_cpu_node() - get the NUMA node of a CPU
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
 * bpf_sched_cpus_share_cache() - test whether two CPUs share their last level cache
 * @cpu: number of a CPU
 * @other: number of another
 *
 * Return: 1 if they share it or are the same; 0 if not; -EINVAL if there is no such
 * CPU.
 */
__bpf_kfunc int bpf_sched_cpus_share_cache(u32 cpu, u32 other)
{
	return is_cpu(cpu) && is_cpu(other) ? cpus_share_cache(cpu, other) : -EINVAL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_cpus_share_cache, "SCHED_BPF");

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(bpf_sched_cpu_kfunc_ids)
BTF_ID_FLAGS(func, bpf_sched_cpu_is_idle)
BTF_ID_FLAGS(func, bpf_sched_cpu_nr_runnable)
BTF_ID_FLAGS(func, bpf_sched_cpu_capacity)
BTF_ID_FLAGS(func, bpf_sched_cpu_node)
BTF_ID_FLAGS(func, bpf_sched_cpus_share_cache)
BTF_KFUNCS_END(bpf_sched_cpu_kfunc_ids)

/* The filter sees the kfuncs and the programs of other struct_ops types too. */
static int filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (!btf_id_set8_contains(&bpf_sched_cpu_kfunc_ids, kfunc_id))
		return 0;

	return prog->aux->st_ops == &bpf_bpf_sched_ops ? 0 : -EACCES;
}

static const struct btf_kfunc_id_set kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &bpf_sched_cpu_kfunc_ids,
	.filter	= filter,
};

static int __init bpf_sched_cpus_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &kfunc_set);
}
late_initcall(bpf_sched_cpus_init);
