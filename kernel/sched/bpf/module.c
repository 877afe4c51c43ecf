// SPDX-License-Identifier: GPL-2.0
/*
 * Lets kernel code fill struct bpf_sched_ops. What is exported here is for
 * rust/sched_bpf/, parts of which are compiled into modules.
 *
 * <debugfs>/sched/bpf/stats has a line for each thing that such a policy counts itself:
 *		id	of the attachment
 *		name	of the policy
 *		stat	what is counted
 *		value	how often
 */

#include <linux/bpf.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

#include "../sched.h"
#include "internal.h"

static void run_work(struct work_struct *work)
{
	struct bpf_sched_registration *reg = container_of(work, typeof(*reg), work);

	reg->work_fn(reg);
}

static void queue(struct irq_work *kick)
{
	struct bpf_sched_registration *reg = container_of(kick, typeof(*reg), kick);

	/* Pairs with the release in bpf_sched_start_work(). */
	if (smp_load_acquire(&reg->work_fn))
		queue_work(system_dfl_wq, &reg->work);
}

struct search {
	const struct bpf_sched_registration *reg;
	bool found;
};

static void search(void *arg, struct bpf_sched_attachment *policy,
		   const struct bpf_sched_ops *ops)
{
	struct search *search = arg;

	search->found |= policy->registration == search->reg;
}

/**
 * bpf_sched_is_attached - is this policy asked?
 * @reg: its registration
 *
 * Context: process context, sleeps.
 * Return: false if it has been detached, by a bound or with its cgroup.
 */
bool bpf_sched_is_attached(const struct bpf_sched_registration *reg)
{
	struct search arg = { .reg = reg };

	bpf_sched_for_each(search, &arg);

	return arg.found;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_is_attached, "SCHED_BPF");

/**
 * bpf_sched_register - start to ask a policy of kernel code
 * @reg: how it is to be attached; the caller's, until bpf_sched_unregister()
 * @ops: its answers, valid and unchanged until it is unregistered or updated
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0; -EBUSY if @reg keeps a policy attached already; -EINVAL if @ops
 * answers no hook, has no name or one with other characters than that of a BPF
 * object, or if @ops or @reg has an unknown flag; -E2BIG if there are too many
 * policies; -ENOMEM.
 */
int bpf_sched_register(struct bpf_sched_registration *reg, const struct bpf_sched_ops *ops)
{
	struct bpf_struct_ops_target target = {
		.cgrp	= reg->cgrp,
		.flags	= reg->flags,
	};
	int ret;

	if (reg->flags & ~(BPF_F_BEFORE | BPF_F_PREORDER))
		return -EINVAL;

	ret = bpf_sched_validate(ops);
	if (ret)
		return ret;

	if (bpf_sched_is_attached(reg))
		return -EBUSY;

	reg->work_fn = NULL;
	init_irq_work(&reg->kick, queue);
	INIT_WORK(&reg->work, run_work);

	return bpf_sched_attach(ops, NULL, NULL, reg, &target, NULL);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_register, "SCHED_BPF");

/**
 * bpf_sched_update - let other answers take the place of a policy's
 * @reg: its registration
 * @new: its new answers, valid and unchanged until it is unregistered or updated
 *
 * All hooks change at the same moment. On return no CPU uses the answers from
 * before.
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0; -EINVAL as of bpf_sched_register(); -ENOLINK if the policy has been
 * detached.
 */
int bpf_sched_update(struct bpf_sched_registration *reg, const struct bpf_sched_ops *new)
{
	int ret;

	ret = bpf_sched_validate(new);
	if (ret)
		return ret;

	return bpf_sched_replace(new, NULL, reg, NULL);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_update, "SCHED_BPF");

/**
 * bpf_sched_unregister - stop asking a policy of kernel code
 * @reg: its registration
 *
 * On return no CPU is inside the policy or its work, and none will be: its code and
 * its memory may go. It may have been detached before.
 *
 * Context: process context, sleeps for a grace period. Not in its work.
 */
void bpf_sched_unregister(struct bpf_sched_registration *reg)
{
	bpf_sched_stop_work(reg);
	bpf_sched_detach(reg);
	/* Nobody is asked any more who could queue it. */
	irq_work_sync(&reg->kick);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_unregister, "SCHED_BPF");

/**
 * bpf_sched_start_work - let a policy work in process context
 * @reg: its registration
 * @fn: called soon, and again some time after each bpf_sched_schedule_work(); not
 *	twice at a time
 */
void bpf_sched_start_work(struct bpf_sched_registration *reg,
			  void (*fn)(struct bpf_sched_registration *reg))
{
	/* Pairs with the acquire in queue(). */
	smp_store_release(&reg->work_fn, fn);
	queue_work(system_dfl_wq, &reg->work);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_start_work, "SCHED_BPF");

/**
 * bpf_sched_stop_work - let a policy not work in process context any more
 * @reg: its registration
 *
 * On return its work is over, and will not begin again.
 *
 * Context: process context, sleeps. Not in the work itself.
 */
void bpf_sched_stop_work(struct bpf_sched_registration *reg)
{
	disable_work_sync(&reg->work);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_stop_work, "SCHED_BPF");

/**
 * bpf_sched_schedule_work - have a policy work in process context
 * @reg: its registration
 *
 * Context: any, also with an rq locked: the worker is not woken before interrupts
 * are on.
 */
void bpf_sched_schedule_work(struct bpf_sched_registration *reg)
{
	irq_work_queue(&reg->kick);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_schedule_work, "SCHED_BPF");

/**
 * bpf_sched_show_stat - write a line of what a policy counts itself
 * @m: what its show() got
 * @policy: the same
 * @name: of what is counted; spaces in it are escaped, as they end a column
 * @value: how often
 */
void bpf_sched_show_stat(struct seq_file *m, const struct bpf_sched_policy *policy,
			 const char *name, u64 value)
{
	seq_printf(m, "%u %s ", policy->id, policy->ops->name);
	seq_escape(m, name, " \t\n\\");
	seq_printf(m, " %llu\n", value);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_show_stat, "SCHED_BPF");

static void show_stats(void *m, struct bpf_sched_attachment *policy,
		       const struct bpf_sched_ops *ops)
{
	const struct bpf_sched_registration *reg = policy->registration;

	if (reg && reg->show)
		reg->show(m, &policy->answers[bpf_sched_published].handle);
}

static int stats_show(struct seq_file *m, void *v)
{
	seq_puts(m, "id name stat value\n");
	bpf_sched_for_each(show_stats, m);

	return 0;
}

DEFINE_SHOW_ATTRIBUTE(stats);

/**
 * bpf_sched_entity_task - which task is this entity?
 * @se: an entity
 *
 * Return: the task, or NULL if @se is the entity of a group.
 */
struct task_struct *bpf_sched_entity_task(struct sched_entity *se)
{
	return entity_is_task(se) ? container_of(se, struct task_struct, se) : NULL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_entity_task, "SCHED_BPF");

#ifdef CONFIG_LOCKDEP
/**
 * bpf_sched_assert_locked - let lockdep check that a question is being asked
 * @se: an entity that the question is about
 *
 * Built with lockdep only: others do not call it.
 */
void bpf_sched_assert_locked(struct sched_entity *se)
{
	if (entity_is_task(se))
		lockdep_assert_rq_held(task_rq(container_of(se, struct task_struct, se)));
	else
		lockdep_assert_irqs_disabled();
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_assert_locked, "SCHED_BPF");

/* The same for a question that is asked with the pi_lock of @p held. */
void bpf_sched_assert_pi_locked(struct task_struct *p)
{
	lockdep_assert_held(&p->pi_lock);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_assert_pi_locked, "SCHED_BPF");
#endif

#ifdef CONFIG_RUST_BPF_SCHED_KUNIT_TEST
void bpf_sched_test_question(void (*fn)(void *arg), void *arg)
{
	struct rq_flags rf;
	struct rq *rq;

	rq = task_rq_lock(current, &rf);
	this_cpu_write(bpf_sched_rq, rq);
	update_rq_clock(rq);
	fn(arg);
	task_rq_unlock(rq, current, &rf);
}
#endif

/*
 * A module that is going has no business with its policies any more. It should have
 * unregistered them, but in Rust it is safe to forget a registration.
 */
static int module_going(struct notifier_block *nb, unsigned long state, void *module)
{
	if (state == MODULE_STATE_GOING)
		bpf_sched_detach_owner(module);

	return NOTIFY_OK;
}

static struct notifier_block module_nb = {
	.notifier_call	= module_going,
};

static int __init bpf_sched_module_init(void)
{
	return register_module_notifier(&module_nb);
}
core_initcall(bpf_sched_module_init);

static int __init bpf_sched_stats_init(void)
{
	struct dentry *sched = debugfs_lookup("sched", NULL);
	struct dentry *dir = debugfs_lookup("bpf", sched);

	if (dir)
		debugfs_create_file("stats", 0444, dir, NULL, &stats_fops);
	dput(dir);
	dput(sched);

	return 0;
}

/* After the one in stats.c, which is linked before and makes the directory. */
late_initcall_sync(bpf_sched_stats_init);
