// SPDX-License-Identifier: GPL-2.0
/*
 * What policies may call to identify the entities they are asked about, kfuncs for
 * those in BPF, exported for those in Rust; and which kfuncs there are for them.
 */

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cgroup.h>
#include <linux/export.h>
#include <linux/init.h>

#include "../sched.h"
#include "internal.h"

/*
 * The cgroup of a group entity, the one whose tasks queue on my_q, in the
 * hierarchy of the cpu controller. NULL for an autogroup, which has none.
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
 * bpf_sched_entity_to_tgidpid() - which task is this entity?
 * @se: an entity: an argument of a hook, its parent, or &task->se
 *
 * Return: tgid << 32 | pid, as in the initial pid namespace, of a task;
 * (u64)-1 for the entity of a group.
 */
__bpf_kfunc u64 bpf_sched_entity_to_tgidpid(struct sched_entity *se)
{
	struct task_struct *p;

	if (!entity_is_task(se))
		return (u64)-1;

	p = container_of(se, struct task_struct, se);
	return (u64)p->tgid << 32 | p->pid;
}

/**
 * bpf_sched_entity_to_cgrpid() - which cgroup is this group entity?
 * @se: an entity: an argument of a hook, its parent, or &task->se
 *
 * Return: the id, as bpf_get_current_cgroup_id() gives it, of the cgroup that
 * the entity stands for; (u64)-1 for the entity of a task or of an autogroup.
 */
__bpf_kfunc u64 bpf_sched_entity_to_cgrpid(struct sched_entity *se)
{
	struct cgroup *cgrp;

	if (entity_is_task(se))
		return (u64)-1;

	cgrp = group_cgroup(se);
	return cgrp ? cgroup_id(cgrp) : (u64)-1;
}

/**
 * bpf_sched_entity_belongs_to_cgrp() - is this entity inside a cgroup?
 * @se: an entity: an argument of a hook, its parent, or &task->se
 * @cgrpid: id of a cgroup, as bpf_get_current_cgroup_id() gives it
 *
 * A task's cgroup is its cgroup in the default (v2) hierarchy, so the cpu
 * controller need not be enabled. The root cgroup contains every task.
 *
 * Return: 1 if the entity's cgroup is @cgrpid or below it, else 0.
 */
__bpf_kfunc long bpf_sched_entity_belongs_to_cgrp(struct sched_entity *se, u64 cgrpid)
{
	struct cgroup *cgrp;
	int level;

	/* Struct_ops programs run inside an RCU read-side section. */
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

/*
 * The rq of the task of @se, if it is the one that is locked for a question; else
 * NULL, as for a group, which does not compete.
 */
static struct rq *rq_of_question(struct sched_entity *se)
{
	struct rq *rq;

	if (!entity_is_task(se))
		return NULL;

	rq = task_rq(container_of(se, struct task_struct, se));
	return rq == this_cpu_read(bpf_sched_rq) ? rq : NULL;
}

/**
 * bpf_sched_entity_lag() - what service is this entity owed?
 * @se: an argument of a hook, or &task->se of a task on the same CPU
 *
 * The lag of EEVDF: negative if the task got more than its share of the CPU since
 * it was queued. sched_entity::vlag is the lag at its last dequeue, which is what
 * counts for a task that cfs_slice() asks about while it is not queued.
 *
 * As whenever the average is asked for, the origin of the virtual time of the rq may
 * be moved, which nobody sees.
 *
 * Return: the lag in nanoseconds of virtual time, not limited as entity_lag()
 * limits what a dequeued task keeps; S64_MIN for a group, and for a task of another
 * CPU than the question is about, whose rq is not locked.
 */
__bpf_kfunc s64 bpf_sched_entity_lag(struct sched_entity *se)
{
	struct rq *rq = rq_of_question(se);

	if (!rq)
		return S64_MIN;
	lockdep_assert_rq_held(rq);

	return avg_vruntime(&rq->cfs) - se->vruntime;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_lag, "SCHED_BPF");

/**
 * bpf_sched_entity_eligible() - may this entity be picked?
 * @se: as for bpf_sched_entity_lag()
 *
 * Return: 1 if its lag is not negative, else 0; -EXDEV where bpf_sched_entity_lag()
 * returns S64_MIN.
 */
__bpf_kfunc int bpf_sched_entity_eligible(struct sched_entity *se)
{
	struct rq *rq = rq_of_question(se);

	if (!rq)
		return -EXDEV;
	lockdep_assert_rq_held(rq);

	return !!entity_eligible(&rq->cfs, se);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_eligible, "SCHED_BPF");

/**
 * bpf_sched_entity_nr_runnable() - how many tasks want the CPU of this entity?
 * @se: as for bpf_sched_entity_lag()
 *
 * Return: the number of runnable tasks of the fair class on that CPU, the running
 * one included; 0 where bpf_sched_entity_lag() returns S64_MIN.
 */
__bpf_kfunc u32 bpf_sched_entity_nr_runnable(struct sched_entity *se)
{
	struct rq *rq = rq_of_question(se);

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
BTF_ID_FLAGS(func, bpf_sched_cpu_is_idle)
BTF_ID_FLAGS(func, bpf_sched_cpu_nr_runnable)
BTF_ID_FLAGS(func, bpf_sched_cpu_capacity)
BTF_ID_FLAGS(func, bpf_sched_cpu_node)
BTF_ID_FLAGS(func, bpf_sched_cpus_share_cache)
BTF_KFUNCS_END(bpf_sched_kfunc_ids)

/*
 * What a policy may call of what others provide: what neither loops over more than
 * the verifier sees nor may wake a task, as releasing the last reference to some
 * objects does.
 */
BTF_SET_START(allowed_ids)
BTF_ID(func, bpf_cast_to_kern_ctx)
BTF_ID(func, bpf_rdonly_cast)
BTF_ID(func, bpf_rcu_read_lock)
BTF_ID(func, bpf_rcu_read_unlock)
BTF_ID(func, bpf_task_under_cgroup)
BTF_ID(func, bpf_cpumask_first)
BTF_ID(func, bpf_cpumask_test_cpu)
BTF_ID(func, bpf_cpumask_weight)
BTF_SET_END(allowed_ids)

/* Filters see the kfuncs and the programs of others too. */
static int kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	bool policy = prog->type == BPF_PROG_TYPE_STRUCT_OPS &&
		      prog->aux->st_ops == &bpf_sched_struct_ops;

	if (btf_id_set8_contains(&bpf_sched_kfunc_ids, kfunc_id))
		return policy ? 0 : -EACCES;
	if (policy)
		return btf_id_set_contains(&allowed_ids, kfunc_id) ? 0 : -EACCES;

	return 0;
}

static const struct btf_kfunc_id_set kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &bpf_sched_kfunc_ids,
	.filter	= kfunc_filter,
};

/*
 * The filter has to be where kfuncs are that it refuses: with those of struct_ops
 * programs and with those of all programs, the unspecified type.
 */
static int __init bpf_sched_kfuncs_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &kfunc_set) ?:
	       register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &kfunc_set);
}
late_initcall(bpf_sched_kfuncs_init);
