// SPDX-License-Identifier: GPL-2.0
/* What policies can call about entities. */

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/export.h>
#include <linux/init.h>

#include "../sched.h"
#include "internal.h"

DEFINE_PER_CPU(struct rq *, bpf_sched_rq);

__bpf_kfunc_start_defs();

/**
 * bpf_sched_entity_to_tgidpid() - identify the task of an entity
 * @se: an argument of a hook, or &task->se
 *
 * Return: tgid << 32 | pid, in the initial pid namespace.
 */
__bpf_kfunc u64 bpf_sched_entity_to_tgidpid(struct sched_entity *se)
{
	struct task_struct *p = task_of(se);

	return (u64)p->tgid << 32 | p->pid;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_to_tgidpid, "SCHED_BPF");

/**
 * bpf_sched_entity_to_cgrpid() - identify the cgroup of an entity's task
 * @se: as for bpf_sched_entity_to_tgidpid()
 *
 * Hooks are called with entities of tasks only, where those of 2021 were also
 * called with entities of groups.
 *
 * Return: the id of the cgroup in the default (v2) hierarchy, as of
 * bpf_get_current_cgroup_id().
 */
__bpf_kfunc u64 bpf_sched_entity_to_cgrpid(struct sched_entity *se)
{
	/* Struct_ops programs run in an RCU read-side critical section. */
	return cgroup_id(task_dfl_cgroup(task_of(se)));
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_to_cgrpid, "SCHED_BPF");

/**
 * bpf_sched_entity_belongs_to_cgrp() - test whether an entity is in a cgroup
 * @se: as for bpf_sched_entity_to_tgidpid()
 * @cgrpid: id of a cgroup, as of bpf_get_current_cgroup_id()
 *
 * The cgroup of a task is that of the default (v2) hierarchy, so the cpu
 * controller need not be enabled. The root cgroup contains every task.
 *
 * Return: 1 if the entity's cgroup is @cgrpid or below it, else 0.
 */
__bpf_kfunc long bpf_sched_entity_belongs_to_cgrp(struct sched_entity *se, u64 cgrpid)
{
	struct cgroup *cgrp = task_dfl_cgroup(task_of(se));
	int level;

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
	struct rq *rq = task_rq(task_of(se));

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
 * entity_lag(); S64_MIN for a task on another CPU than the hook is called for,
 * whose rq lock is not held.
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

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(bpf_sched_kfunc_ids)
BTF_ID_FLAGS(func, bpf_sched_entity_to_tgidpid, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_to_cgrpid, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_belongs_to_cgrp, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_lag, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_eligible, KF_RCU)
BTF_ID_FLAGS(func, bpf_sched_entity_nr_runnable, KF_RCU)
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
