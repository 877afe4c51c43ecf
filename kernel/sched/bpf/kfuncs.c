// SPDX-License-Identifier: GPL-2.0
/* What policies can call about entities and, without a lock, about CPUs. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/topology.h>

#include "../sched.h"
#include "internal.h"

DEFINE_PER_CPU(struct rq *, bpf_sched_rq);

/*
 * Return the cgroup of a group entity in the hierarchy of the cpu controller, or
 * NULL for an autogroup, which has none.
 */
static struct cgroup *group_cgroup(struct sched_entity *se)
{
#ifdef CONFIG_FAIR_GROUP_SCHED
	return se->my_q->tg->css.cgroup;
#else
	return NULL;
#endif
}

__bpf_kfunc_start_defs();

/**
 * bpf_sched_entity_to_tgidpid() - identify the task of an entity
 * @se: an argument of a hook, or &task->se
 *
 * Return: tgid << 32 | pid, in the initial pid namespace, of a task; (u64)-1
 * for a group entity.
 */
__bpf_kfunc u64 bpf_sched_entity_to_tgidpid(struct sched_entity *se)
{
	struct task_struct *p;

	if (!entity_is_task(se))
		return (u64)-1;

	p = container_of(se, struct task_struct, se);
	return (u64)p->tgid << 32 | p->pid;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_to_tgidpid, "SCHED_BPF");

/**
 * bpf_sched_entity_to_cgrpid() - identify the cgroup of a group entity
 * @se: an argument of a hook, or &task->se
 *
 * Return: the id of the cgroup, as of bpf_get_current_cgroup_id(), of a group
 * entity; (u64)-1 for a task's entity or an autogroup.
 */
__bpf_kfunc u64 bpf_sched_entity_to_cgrpid(struct sched_entity *se)
{
	struct cgroup *cgrp;

	if (entity_is_task(se))
		return (u64)-1;

	cgrp = group_cgroup(se);
	return cgrp ? cgroup_id(cgrp) : (u64)-1;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_to_cgrpid, "SCHED_BPF");

/**
 * bpf_sched_entity_belongs_to_cgrp() - test whether an entity is in a cgroup
 * @se: an argument of a hook, or &task->se
 * @cgrpid: id of a cgroup, as of bpf_get_current_cgroup_id()
 *
 * The cgroup of a task is that of the default (v2) hierarchy, so the cpu
 * controller need not be enabled. The root cgroup contains every task.
 *
 * Return: 1 if the entity's cgroup is @cgrpid or below it, else 0.
 */
__bpf_kfunc long bpf_sched_entity_belongs_to_cgrp(struct sched_entity *se, u64 cgrpid)
{
	struct cgroup *cgrp;
	int level;

	/* Struct_ops programs run in an RCU read-side critical section. */
	if (entity_is_task(se))
		cgrp = task_dfl_cgroup(container_of(se, struct task_struct, se));
	else
		cgrp = group_cgroup(se);

	if (!cgrp)
		return 0;

	for (level = cgrp->level; level >= 0; level--) {
		if (cgroup_id(cgrp->ancestors[level]) == cgrpid)
			return 1;
	}

	return 0;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_belongs_to_cgrp, "SCHED_BPF");

/* Return the rq of the task of @se if the hook was called with its lock held, or NULL. */
static struct rq *locked_rq(struct sched_entity *se)
{
	struct rq *rq;

	if (!entity_is_task(se))
		return NULL;

	rq = task_rq(container_of(se, struct task_struct, se));
	return rq == this_cpu_read(bpf_sched_rq) ? rq : NULL;
}

/**
 * bpf_sched_entity_lag() - get the virtual lag of an entity
 * @se: an argument of a hook, or &task->se of a task on the same CPU
 *
 * The lag is negative if the task got more than its share of the CPU since it
 * was enqueued. For a task that is not queued sched_entity::vlag is the lag at
 * its last dequeue.
 *
 * Return: the lag in nanoseconds of virtual time, without the limit of
 * entity_lag(); S64_MIN for a group entity, and for a task on another CPU than
 * the hook is called for, whose rq lock is not held.
 */
__bpf_kfunc s64 bpf_sched_entity_lag(struct sched_entity *se)
{
	struct rq *rq = locked_rq(se);

	if (!rq)
		return S64_MIN;

	return avg_vruntime(&rq->cfs) - se->vruntime;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_lag, "SCHED_BPF");

/**
 * bpf_sched_entity_eligible() - test whether an entity is eligible
 * @se: as for bpf_sched_entity_lag()
 *
 * Return: 1 if its lag is not negative, else 0; -EXDEV where
 * bpf_sched_entity_lag() returns S64_MIN.
 */
__bpf_kfunc int bpf_sched_entity_eligible(struct sched_entity *se)
{
	struct rq *rq = locked_rq(se);

	if (!rq)
		return -EXDEV;

	return !!entity_eligible(&rq->cfs, se);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_eligible, "SCHED_BPF");

/**
 * bpf_sched_entity_nr_runnable() - count the runnable tasks on an entity's CPU
 * @se: as for bpf_sched_entity_lag()
 *
 * Return: the number of runnable fair tasks, the current one included; 0
 * where bpf_sched_entity_lag() returns S64_MIN.
 */
__bpf_kfunc u32 bpf_sched_entity_nr_runnable(struct sched_entity *se)
{
	struct rq *rq = locked_rq(se);

	return rq ? rq->cfs.h_nr_runnable : 0;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_nr_runnable, "SCHED_BPF");

/* cpu_possible() takes only numbers that a mask of CPUs has. */
static bool is_cpu(u32 cpu)
{
	return cpu < nr_cpu_ids && cpu_possible(cpu);
}

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

BTF_KFUNCS_START(bpf_sched_kfunc_ids)
BTF_ID_FLAGS(func, bpf_sched_entity_to_tgidpid, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_to_cgrpid, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_belongs_to_cgrp, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_lag, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_eligible, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_nr_runnable, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_cpu_is_idle)
BTF_ID_FLAGS(func, bpf_sched_cpu_nr_runnable)
BTF_ID_FLAGS(func, bpf_sched_cpu_capacity)
BTF_ID_FLAGS(func, bpf_sched_cpu_node)
BTF_ID_FLAGS(func, bpf_sched_cpus_share_cache)
BTF_KFUNCS_END(bpf_sched_kfunc_ids)

/* The filter sees the kfuncs and the programs of other struct_ops types too. */
static int filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (!btf_id_set8_contains(&bpf_sched_kfunc_ids, kfunc_id))
		return 0;

	return prog->aux->st_ops == &bpf_bpf_sched_ops ? 0 : -EACCES;
}

static const struct btf_kfunc_id_set kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &bpf_sched_kfunc_ids,
	.filter	= filter,
};

static int __init bpf_sched_kfuncs_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &kfunc_set);
}
late_initcall(bpf_sched_kfuncs_init);
