// SPDX-License-Identifier: GPL-2.0
/*
 * Attaches, replaces and detaches policies.
 *
 * What is asked exists in two generations: the order of each scope and the answers
 * of each policy. A change makes the next generation, publishes it with one store
 * and waits for a grace period: questions see the policies before the change or
 * after it, never half of it, and after the wait no CPU is inside a policy that
 * has left. As a change waits for the readers of the one before, two generations
 * are enough, and neither detaching nor replacing needs memory.
 */

#include <linux/bpf.h>
#include <linux/cgroup.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include "../sched.h"
#include "hooks.h"
#include "internal.h"

/* Last, or the events that the others include would be defined here too. */
#define CREATE_TRACE_POINTS
#include <trace/events/bpf_sched.h>

/* By index. */
static struct bpf_sched_attachment *policies[BPF_SCHED_MAX_POLICIES];

/* Serializes changes; protects all that is below, and the scopes. */
static DEFINE_MUTEX(policies_lock);
static u32 last_id;
static u32 last_version;

/**
 * struct hook - a hook, for what is done to all of them
 * @key: on while a policy answers it
 * @on: is it?
 * @answers: does this table answer it?
 */
struct hook {
	struct static_key_false_deferred *key;
	bool on;
	bool (*answers)(const struct bpf_sched_ops *ops);
};

#define BPF_SCHED_HOOK(hook, params, args)				\
	static bool answers_##hook(const struct bpf_sched_ops *ops)	\
	{								\
		return ops->hook;					\
	}

#include <linux/bpf_sched_hooks.h>

static struct hook hooks[] = {
#define BPF_SCHED_HOOK(hook, params, args)				\
	[BPF_SCHED_##hook] = {						\
		.key		= &bpf_sched_key_##hook,		\
		.answers	= answers_##hook,			\
	},
#include <linux/bpf_sched_hooks.h>
};

bool bpf_sched_has_answer(const struct bpf_sched_ops *ops, enum bpf_sched_hook hook)
{
	return hooks[hook].answers(ops);
}

/* The attached policy of index *@i or, if there is none, of the next one. */
static struct bpf_sched_attachment *policy_from(unsigned int *i)
{
	for (; *i < BPF_SCHED_MAX_POLICIES; ++*i) {
		if (policies[*i])
			return policies[*i];
	}

	return NULL;
}

#define for_each_policy(i, policy)					\
	for ((i) = 0; ((policy) = policy_from(&(i))); (i)++)

/*
 * Let the answers of @policy in the generation @gen be those of @ops, by @progs where
 * they are BPF programs.
 */
static void set_answers(struct bpf_sched_attachment *policy, int gen,
			const struct bpf_sched_ops *ops, const struct bpf_prog * const *progs)
{
	struct bpf_sched_answers *answers = &policy->answers[gen];
	enum bpf_sched_hook hook;

	answers->handle.ops = ops;
	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		answers->calls[hook] = (struct bpf_sched_call){
			.prog		= progs ? progs[hook] : NULL,
			.this		= &answers->handle,
			.counters	= policy->counters + hook,
			.bit		= BIT_ULL(policy->index),
			.shadow		= ops->flags & BPF_SCHED_F_SHADOW,
			.delegated	= policy->userns,
			.version	= policy->version,
		};
	}
}

/* Let them be those of the other generation. */
static void keep_answers(struct bpf_sched_attachment *policy, int gen)
{
	const struct bpf_sched_answers *other = &policy->answers[!gen];
	const struct bpf_prog *progs[BPF_SCHED_NR_HOOKS];
	enum bpf_sched_hook hook;

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++)
		progs[hook] = other->calls[hook].prog;
	set_answers(policy, gen, other->handle.ops, progs);
}

static void set_key(struct hook *hook, bool on)
{
	if (hook->on == on)
		return;

	hook->on = on;
	if (on)
		static_branch_deferred_inc(hook->key);
	else
		static_branch_slow_dec_deferred(hook->key);
}

/*
 * Make what is attached what is asked. The answers of the next generation have been
 * kept or set. On return no CPU is inside a policy or in a scope that is not attached,
 * and none will be.
 */
static void publish(int next)
{
	bool answered[BPF_SCHED_NR_HOOKS] = {};
	struct bpf_sched_attachment *policy;
	enum bpf_sched_hook hook;
	u64 delegated = 0;
	unsigned int i;

	lockdep_assert_held(&policies_lock);

	for_each_policy(i, policy) {
		if (policy->userns)
			delegated |= BIT_ULL(i);
		if (list_empty(&policy->node))
			continue;

		for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++)
			answered[hook] |= hooks[hook].answers(policy->answers[next].handle.ops);
	}
	/* Sizes have to cover what an answer to the tick granted. */
	answered[BPF_SCHED_cfs_slice] |= answered[BPF_SCHED_cfs_check_preempt_tick];
	bpf_sched_scopes_order(next);

	WRITE_ONCE(bpf_sched_delegated, delegated);
	/* Pairs with the acquire in bpf_sched_ask_*(). */
	smp_store_release(&bpf_sched_published, next);

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++)
		set_key(&hooks[hook], answered[hook]);

	/* Questions are asked with interrupts off. */
	synchronize_rcu();
}

/* Begin the next generation: all have the answers that they have. */
static int next_generation(void)
{
	struct bpf_sched_attachment *policy;
	int next = !bpf_sched_published;
	unsigned int i;

	for_each_policy(i, policy)
		keep_answers(policy, next);

	return next;
}

/* The policy that is kept attached by the link or the registration @holder. */
static struct bpf_sched_attachment *find_policy(const void *holder)
{
	struct bpf_sched_attachment *policy;
	unsigned int i;

	for_each_policy(i, policy) {
		if (policy->link == holder || policy->registration == holder)
			return policy;
	}

	return NULL;
}

/**
 * bpf_sched_validate - check a table before it is attached
 * @ops: the table
 *
 * Return: 0, or -EINVAL, and the log says why, if it answers no hook, has no name
 * or one with other characters than that of a BPF object, or has a flag that this
 * kernel does not know, which must not be ignored.
 */
int bpf_sched_validate(const struct bpf_sched_ops *ops)
{
	char name[BPF_SCHED_NAME_LEN];
	enum bpf_sched_hook hook;

	if (bpf_obj_name_cpy(name, ops->name, sizeof(name)) <= 0) {
		pr_notice_ratelimited("sched_bpf: a policy needs a name of letters, digits, '_', '.'\n");
		return -EINVAL;
	}
	if (ops->flags & ~BPF_SCHED_F_ALL) {
		pr_notice_ratelimited("sched_bpf: policy %s: flags 0x%llx, 0x%x are accepted\n",
				      name, ops->flags, BPF_SCHED_F_ALL);
		return -EINVAL;
	}

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		if (hooks[hook].answers(ops))
			return 0;
	}

	pr_notice_ratelimited("sched_bpf: policy %s answers no hook\n", name);
	return -EINVAL;
}

/*
 * Insert @policy in its scope where @target says: BPF_F_BEFORE and BPF_F_AFTER
 * mean a policy of the same scope and, as preorder ones are asked apart, of the
 * same kind; without one, before or after all of them.
 */
static int insert(struct bpf_sched_attachment *policy,
		  const struct bpf_struct_ops_target *target)
{
	struct list_head *list = &policy->scope->policies;
	struct bpf_sched_attachment *relative;

	if (!target->relative) {
		if (target->flags & BPF_F_BEFORE)
			list_add(&policy->node, list);
		else
			list_add_tail(&policy->node, list);
		return 0;
	}

	relative = find_policy(target->relative);
	if (!relative || relative->scope != policy->scope)
		return -ENOENT;
	if (relative->preorder != policy->preorder)
		return -EINVAL;

	if (target->flags & BPF_F_BEFORE)
		list_add_tail(&policy->node, &relative->node);
	else
		list_add(&policy->node, &relative->node);

	return 0;
}

/* May one more be attached by a token of @userns? */
static bool has_quota(const struct user_namespace *userns)
{
	struct bpf_sched_attachment *policy;
	unsigned int i, all = 0, own = 0;

	for_each_policy(i, policy) {
		all += !!policy->userns;
		own += policy->userns == userns;
	}

	return all < BPF_SCHED_MAX_DELEGATED && own < BPF_SCHED_MAX_PER_USERNS;
}

static struct bpf_sched_attachment *alloc_policy(void)
{
	struct bpf_sched_attachment *policy = kzalloc_obj(*policy);
	enum bpf_sched_hook hook;
	int cpu;

	if (!policy)
		return NULL;

	policy->counters = __alloc_percpu(sizeof(*policy->counters) * BPF_SCHED_NR_HOOKS,
					  __alignof__(*policy->counters));
	if (!policy->counters) {
		kfree(policy);
		return NULL;
	}
	/* The first call is timed. */
	for_each_possible_cpu(cpu) {
		for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
			per_cpu_ptr(policy->counters + hook, cpu)->calls = 1;
			per_cpu_ptr(policy->counters + hook, cpu)->countdown = 1;
		}
	}
	INIT_LIST_HEAD(&policy->node);

	return policy;
}

static void free_policy(struct bpf_sched_attachment *policy)
{
	struct bpf_sched_scope *scope = policy->scope;

	policies[policy->index] = NULL;
	if (scope && scope->cgrp && list_empty(&scope->policies))
		bpf_sched_scope_free(scope);
	free_percpu(policy->counters);
	kfree(policy);
}

/* Stop asking @policy and free it. Sleeps for a grace period. */
static void retire_policy(struct bpf_sched_attachment *policy)
{
	list_del_init(&policy->node);
	if (policy->scope->cgrp && list_empty(&policy->scope->policies))
		bpf_sched_scope_retire(policy->scope);
	publish(next_generation());
	free_policy(policy);
}

/**
 * bpf_sched_attach - start to ask a policy
 * @ops: its answers, valid until it is detached or replaced
 * @progs: per hook, the BPF program that answers, or NULL; NULL if none are programs
 * @link: the link that keeps it attached, or NULL
 * @reg: the registration that does, if no link does
 * @target: the tasks that it is asked about, and its place among the policies
 *	    that are attached there: the last, if nothing else is said
 * @userns: the user namespace of the token that allows it, NULL if none is needed
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0; -EBUSY if @reg has a policy already; -E2BIG if
 * BPF_SCHED_MAX_POLICIES are attached; -EDQUOT if too many are by token; -ENOMEM; -EINVAL if
 * the flags of @target contradict each other or the policy they relate to;
 * -ENOENT if that one is not attached to the same cgroup.
 */
int bpf_sched_attach(const struct bpf_sched_ops *ops, const struct bpf_prog * const *progs,
		     const struct bpf_link *link,
		     const struct bpf_sched_registration *reg,
		     const struct bpf_struct_ops_target *target,
		     const struct user_namespace *userns)
{
	struct bpf_sched_attachment *policy;
	struct bpf_sched_policy handle;
	unsigned int index;
	int gen, ret;

	guard(mutex)(&policies_lock);

	if (reg && find_policy(reg))
		return -EBUSY;
	if (userns && !has_quota(userns))
		return -EDQUOT;

	for (index = 0; index < BPF_SCHED_MAX_POLICIES; index++) {
		if (!policies[index])
			break;
	}
	if (index == BPF_SCHED_MAX_POLICIES)
		return -E2BIG;

	policy = alloc_policy();
	if (!policy)
		return -ENOMEM;

	if (!++last_id)
		last_id = 1;
	handle = (struct bpf_sched_policy){
		.id		= last_id,
		.cgroup_id	= target->cgrp ? cgroup_id(target->cgrp) : 0,
	};
	policy->link = link;
	policy->registration = reg;
	policy->preorder = target->flags & BPF_F_PREORDER;
	policy->userns = userns;
	policy->index = index;
	policy->version = ++last_version;
	policy->attached_ns = ktime_get_boottime_ns();
	for (gen = 0; gen < ARRAY_SIZE(policy->answers); gen++) {
		policy->answers[gen].handle = handle;
		set_answers(policy, gen, ops, progs);
	}
	policies[index] = policy;
	bpf_sched_acquit(policy);

	policy->scope = &bpf_sched_system;
	if (target->cgrp)
		policy->scope = bpf_sched_scope_get(target->cgrp, bpf_sched_published);
	ret = policy->scope ? insert(policy, target) : -ENOMEM;
	if (ret) {
		if (policy->scope && policy->scope->cgrp && list_empty(&policy->scope->policies))
			retire_policy(policy);
		else
			free_policy(policy);
		return ret;
	}

	publish(next_generation());
	trace_bpf_sched_attach(bpf_sched_handle(policy), ops);

	/* The cgroup may have been removed before its scope could be seen. */
	if (target->cgrp && cgroup_is_dead(target->cgrp))
		irq_work_queue(&bpf_sched_reap);

	return 0;
}

/**
 * bpf_sched_replace - let other answers take the place of a policy's
 * @new: its new answers, valid until it is detached or replaced
 * @progs: as of bpf_sched_attach()
 * @holder: the link or the registration of the policy
 * @userns: as of bpf_sched_attach(), of who replaces
 *
 * The policy keeps its scope, its place in the order, its id and its
 * counters. All hooks change at the same moment. On return no CPU uses the
 * answers from before.
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0; -ENOLINK if the policy is not attached; -EPERM if it was attached without
 * a token and is to be replaced by one.
 */
int bpf_sched_replace(const struct bpf_sched_ops *new, const struct bpf_prog * const *progs,
		      const void *holder, const struct user_namespace *userns)
{
	struct bpf_sched_attachment *policy;
	int next;

	guard(mutex)(&policies_lock);

	policy = find_policy(holder);
	if (!policy)
		return -ENOLINK;
	if (userns && !policy->userns)
		return -EPERM;

	next = next_generation();
	policy->version = ++last_version;
	set_answers(policy, next, new, progs);
	publish(next);
	bpf_sched_acquit(policy);
	trace_bpf_sched_replace(bpf_sched_handle(policy), new);

	return 0;
}

static void detach(struct bpf_sched_attachment *policy)
{
	trace_bpf_sched_detach(bpf_sched_handle(policy),
			       policy->answers[bpf_sched_published].handle.ops);
	retire_policy(policy);
}

/**
 * bpf_sched_detach - stop asking a policy
 * @holder: the link or the registration of the policy
 *
 * On return no CPU is inside the policy.
 *
 * Context: process context, sleeps for a grace period.
 * Return: was it attached?
 */
bool bpf_sched_detach(const void *holder)
{
	struct bpf_sched_attachment *policy;

	guard(mutex)(&policies_lock);

	policy = find_policy(holder);
	if (policy)
		detach(policy);

	return policy;
}

/* The same for all policies of a module. */
void bpf_sched_detach_owner(const struct module *owner)
{
	struct bpf_sched_attachment *policy;
	unsigned int i;

	guard(mutex)(&policies_lock);

	for_each_policy(i, policy) {
		if (policy->registration && policy->registration->owner == owner)
			detach(policy);
	}
}

/* The id of the cgroup that the policy of @link is attached to, or zero. */
u64 bpf_sched_cgroup_id(const struct bpf_link *link)
{
	struct bpf_sched_attachment *policy;

	guard(mutex)(&policies_lock);

	policy = find_policy(link);

	return policy ? bpf_sched_handle(policy)->cgroup_id : 0;
}

/**
 * bpf_sched_for_each - look at the attached policies
 * @fn: called for each policy with its present answers, by age
 * @arg: passed to @fn
 *
 * Context: process context, sleeps. Policies do not come or go meanwhile.
 */
void bpf_sched_for_each(void (*fn)(void *arg, struct bpf_sched_attachment *policy,
				   const struct bpf_sched_ops *ops),
			void *arg)
{
	struct bpf_sched_attachment *policy, *next;
	unsigned int i;
	u64 seen = 0;

	guard(mutex)(&policies_lock);

	for (;;) {
		next = NULL;
		for_each_policy(i, policy) {
			if (!(seen & BIT_ULL(i)) &&
			    (!next || policy->attached_ns < next->attached_ns))
				next = policy;
		}
		if (!next)
			break;
		seen |= BIT_ULL(next->index);
		fn(arg, next, next->answers[bpf_sched_published].handle.ops);
	}
}

/*
 * Detach one policy that took too much time or whose cgroup is dead. *@link is set to
 * its link, if it has one, with a reference: it does not know yet.
 */
static bool reap_one(struct bpf_link **link)
{
	struct bpf_sched_attachment *policy;
	unsigned int i;
	bool slow;

	guard(mutex)(&policies_lock);

	for_each_policy(i, policy) {
		slow = bpf_sched_is_slow(policy);
		if (!slow && !(policy->scope->cgrp && cgroup_is_dead(policy->scope->cgrp)))
			continue;

		if (slow)
			pr_warn("sched_bpf: policy %s (id %u) took too much time of a CPU; detached\n",
				policy->answers[bpf_sched_published].handle.ops->name,
				bpf_sched_handle(policy)->id);
		/* A link whose last reference is gone is being detached anyway. */
		*link = policy->link ?
			bpf_link_inc_not_zero((struct bpf_link *)policy->link) : NULL;
		detach(policy);
		return true;
	}

	return false;
}

static void reap(struct work_struct *work)
{
	struct bpf_link *link;

	while (reap_one(&link)) {
		if (IS_ERR_OR_NULL(link))
			continue;
		link->ops->detach(link);
		bpf_link_put(link);
	}
}

static DECLARE_WORK(reap_work, reap);

/* Work items cannot be queued under an rq lock, which waking a worker takes. */
static void queue_reap(struct irq_work *work)
{
	queue_work(system_dfl_wq, &reap_work);
}

struct irq_work bpf_sched_reap = IRQ_WORK_INIT(queue_reap);
