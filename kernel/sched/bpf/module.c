// SPDX-License-Identifier: GPL-2.0
/*
 * Lets kernel code fill struct bpf_sched_ops. What is exported here is for
 * rust/sched_bpf/, parts of which are compiled into modules.
 */

#include <linux/bpf.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/notifier.h>

#include "../sched.h"
#include "internal.h"

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
 * On return no CPU is inside the policy, and none will be: its code and its memory
 * may go. It may have been detached before.
 *
 * Context: process context, sleeps for a grace period.
 */
void bpf_sched_unregister(struct bpf_sched_registration *reg)
{
	bpf_sched_detach(reg);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_unregister, "SCHED_BPF");

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
