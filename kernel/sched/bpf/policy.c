// SPDX-License-Identifier: GPL-2.0
/*
 * Attaches, replaces and detaches policies, and asks them.
 *
 * What is asked is one immutable table, published by RCU, that lists for each
 * hook the policies that answer it. A change builds the next table, publishes it
 * with one store and waits for a grace period: questions see the policies before
 * the change or after it, never half of it, and after the wait no CPU is inside
 * a policy that has left.
 */

#include <linux/bpf.h>
#include <linux/cleanup.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/static_call.h>

#include "hooks.h"
#include "internal.h"

/**
 * struct policy - an attached policy
 * @handle: what its callbacks get as "this"
 * @ops: its answers; a replacement changes it
 * @link: the link that keeps it attached
 * @node: in @policies, in the order of attachment
 * @counters: per hook, kept over a replacement
 */
struct policy {
	struct bpf_sched_policy handle;
	const struct bpf_sched_ops *ops;
	const struct bpf_link *link;
	struct list_head node;
	struct bpf_sched_counters __percpu *counters;
};

/**
 * struct slot - a policy in the list of a hook
 * @ops: where its answer is
 * @policy: its handle
 * @counters: its counters for this hook
 */
struct slot {
	const struct bpf_sched_ops *ops;
	const struct bpf_sched_policy *policy;
	struct bpf_sched_counters __percpu *counters;
};

/**
 * struct table - whom to ask
 * @nr: number of slots in use, per hook
 * @direct: the static call of the hook leads to its first slot
 * @slot: per hook, in the order in which they are asked
 */
struct table {
	u8 nr[BPF_SCHED_NR_HOOKS];
	bool direct[BPF_SCHED_NR_HOOKS];
	struct slot slot[BPF_SCHED_NR_HOOKS][BPF_SCHED_MAX_POLICIES];
};

/*
 * The published table and the one to build next. Two are enough, and detaching
 * needs no memory, because each change waits for the readers of the one before.
 */
static struct table tables[2];
static struct table __rcu *published = RCU_INITIALIZER(&tables[0]);

/* Serializes changes; protects all that is below. */
static DEFINE_MUTEX(policies_lock);
static LIST_HEAD(policies);
static unsigned int nr_policies;
static u32 last_id;

/* What is made of each entry of bpf_sched_hooks.h, besides the asking below. */
#define BPF_SCHED_HOOK(hook, params, args)				\
	DEFINE_STATIC_KEY_FALSE(bpf_sched_key_##hook);			\
									\
	static int bpf_sched_ops__##hook BPF_SCHED_PROTO(params)	\
	{								\
		return 0;						\
	}								\
									\
	DEFINE_STATIC_CALL(bpf_sched_call_##hook, bpf_sched_ops__##hook); \
									\
	static bool answers_##hook(const struct bpf_sched_ops *ops)	\
	{								\
		return ops->hook;					\
	}								\
									\
	static bool leads_to_##hook(const struct bpf_sched_ops *ops)	\
	{								\
		return static_call_query(bpf_sched_call_##hook) == ops->hook; \
	}								\
									\
	static void redirect_##hook(const struct bpf_sched_ops *ops)	\
	{								\
		static_call_update(bpf_sched_call_##hook, ops->hook);	\
	}

#include <linux/bpf_sched_hooks.h>

struct bpf_sched_ops bpf_sched_stubs = {
#define BPF_SCHED_HOOK(hook, params, args) .hook = bpf_sched_ops__##hook,
#include <linux/bpf_sched_hooks.h>
};

/**
 * struct hook - a hook, for what is done to all of them
 * @name: its name
 * @key: on while a policy answers it
 * @answers: does this table answer it?
 * @leads_to: does its static call lead to the answer of this table?
 * @redirect: make it so
 */
struct hook {
	const char *name;
	struct static_key_false *key;
	bool (*answers)(const struct bpf_sched_ops *ops);
	bool (*leads_to)(const struct bpf_sched_ops *ops);
	void (*redirect)(const struct bpf_sched_ops *ops);
};

static const struct hook hooks[] = {
#define BPF_SCHED_HOOK(hook, params, args)				\
	[BPF_SCHED_##hook] = {						\
		.name		= #hook,				\
		.key		= &bpf_sched_key_##hook,		\
		.answers	= answers_##hook,			\
		.leads_to	= leads_to_##hook,			\
		.redirect	= redirect_##hook,			\
	},
#include <linux/bpf_sched_hooks.h>
};

static void count_answer(struct bpf_sched_counters __percpu *counters, int ret)
{
	this_cpu_inc(counters->calls);
	if (ret < 0)
		this_cpu_inc(counters->negative);
	else if (ret > 0)
		this_cpu_inc(counters->positive);
	else
		this_cpu_inc(counters->zero);
}

/*
 * The first slot, mostly the only one, is called through a static call: no
 * indirect branch. It may be used once @direct says that it leads there, which
 * the acquire orders before the call; see publish().
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
int bpf_sched_ask_##hook(struct bpf_sched_counters __percpu **counters,	\
			 BPF_SCHED_LIST params)				\
{									\
	const struct table *table = rcu_dereference_sched(published);	\
	const struct slot *slot = table->slot[BPF_SCHED_##hook];	\
	const struct slot *end = slot + table->nr[BPF_SCHED_##hook];	\
	/* Pairs with the release in publish(). */			\
	bool direct = smp_load_acquire(&table->direct[BPF_SCHED_##hook]); \
	int ret = 0;							\
									\
	for (; slot < end && !ret; slot++, direct = false) {		\
		const struct bpf_sched_policy *this = slot->policy;	\
									\
		if (direct)						\
			ret = static_call(bpf_sched_call_##hook)	\
				(BPF_SCHED_LIST args, this);		\
		else							\
			ret = slot->ops->hook(BPF_SCHED_LIST args, this); \
		count_answer(slot->counters, ret);			\
		*counters = slot->counters;				\
	}								\
									\
	return ret;							\
}

#include <linux/bpf_sched_hooks.h>

static void list_policies(struct table *table, enum bpf_sched_hook hook)
{
	struct policy *policy;

	list_for_each_entry(policy, &policies, node) {
		if (!hooks[hook].answers(policy->ops))
			continue;

		table->slot[hook][table->nr[hook]++] = (struct slot){
			.ops = policy->ops,
			.policy = &policy->handle,
			.counters = policy->counters + hook,
		};
	}

	/* A static call that leads where it should needs no detour. */
	table->direct[hook] = table->nr[hook] &&
			      hooks[hook].leads_to(table->slot[hook][0].ops);
}

/*
 * Make @policies what is asked. On return no CPU is inside a policy that is not
 * in the list, and none will be.
 */
static void publish(void)
{
	enum bpf_sched_hook hook;
	struct table *table;

	lockdep_assert_held(&policies_lock);

	table = rcu_access_pointer(published) == &tables[0] ? &tables[1] : &tables[0];
	memset(table, 0, sizeof(*table));
	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++)
		list_policies(table, hook);

	rcu_assign_pointer(published, table);

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		if (table->nr[hook])
			static_branch_enable(hooks[hook].key);
		else
			static_branch_disable(hooks[hook].key);
	}

	/* Questions are asked with preemption off, see bpf_sched_ask_*(). */
	synchronize_rcu();

	/* Nobody uses the static calls for the table before: redirect them. */
	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		if (!table->nr[hook]) {
			hooks[hook].redirect(&bpf_sched_stubs);
		} else if (!table->direct[hook]) {
			hooks[hook].redirect(table->slot[hook][0].ops);
			/* Pairs with the acquire in bpf_sched_ask_*(). */
			smp_store_release(&table->direct[hook], true);
		}
	}
}

static struct policy *find_policy(const struct bpf_link *link)
{
	struct policy *policy;

	list_for_each_entry(policy, &policies, node) {
		if (policy->link == link)
			return policy;
	}

	return NULL;
}

/**
 * bpf_sched_validate - check a table before it is attached
 * @ops: the table
 *
 * Return: 0, or -EINVAL if it answers no hook or has no name.
 */
int bpf_sched_validate(const struct bpf_sched_ops *ops)
{
	enum bpf_sched_hook hook;

	if (!ops->name[0])
		return -EINVAL;

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		if (hooks[hook].answers(ops))
			return 0;
	}

	return -EINVAL;
}

/**
 * bpf_sched_attach - start to ask a policy, after those already attached
 * @ops: its answers, valid until it is detached or replaced
 * @link: the link that keeps it attached
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0, -E2BIG if BPF_SCHED_MAX_POLICIES are attached, or -ENOMEM.
 */
int bpf_sched_attach(const struct bpf_sched_ops *ops, const struct bpf_link *link)
{
	struct policy *policy;

	guard(mutex)(&policies_lock);

	if (nr_policies == BPF_SCHED_MAX_POLICIES)
		return -E2BIG;

	policy = kzalloc_obj(*policy);
	if (!policy)
		return -ENOMEM;

	policy->counters = __alloc_percpu(sizeof(*policy->counters) * BPF_SCHED_NR_HOOKS,
					  __alignof__(*policy->counters));
	if (!policy->counters) {
		kfree(policy);
		return -ENOMEM;
	}

	if (!++last_id)
		last_id = 1;
	policy->handle.id = last_id;
	policy->ops = ops;
	policy->link = link;
	list_add_tail(&policy->node, &policies);
	nr_policies++;
	publish();

	return 0;
}

/**
 * bpf_sched_replace - let other answers take the place of a policy's
 * @new: its new answers, valid until it is detached or replaced
 * @link: the link of the policy
 *
 * The policy keeps its place in the order, its handle and its counters. All
 * hooks change at the same moment. On return no CPU uses the answers from before.
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0, or -ENOLINK if the policy is not attached.
 */
int bpf_sched_replace(const struct bpf_sched_ops *new, const struct bpf_link *link)
{
	struct policy *policy;

	guard(mutex)(&policies_lock);

	policy = find_policy(link);
	if (!policy)
		return -ENOLINK;

	policy->ops = new;
	publish();

	return 0;
}

/**
 * bpf_sched_detach - stop asking a policy
 * @link: the link of the policy
 *
 * On return no CPU is inside the policy.
 *
 * Context: process context, sleeps for a grace period.
 */
void bpf_sched_detach(const struct bpf_link *link)
{
	struct policy *policy;

	guard(mutex)(&policies_lock);

	policy = find_policy(link);
	if (WARN_ON_ONCE(!policy))
		return;

	list_del(&policy->node);
	nr_policies--;
	publish();

	free_percpu(policy->counters);
	kfree(policy);
}

static struct bpf_sched_counters
sum_counters(const struct bpf_sched_counters __percpu *counters)
{
	struct bpf_sched_counters sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct bpf_sched_counters *c = per_cpu_ptr(counters, cpu);

		sum.calls += READ_ONCE(c->calls);
		sum.negative += READ_ONCE(c->negative);
		sum.zero += READ_ONCE(c->zero);
		sum.positive += READ_ONCE(c->positive);
		sum.overruled += READ_ONCE(c->overruled);
	}

	return sum;
}

/**
 * bpf_sched_for_each - look at the attached policies
 * @fn: called for each policy and each hook that it answers, in the order in
 *	which they are asked, with the sum of the counters over all CPUs
 * @arg: passed to @fn
 *
 * Context: process context, sleeps.
 */
void bpf_sched_for_each(bpf_sched_show_fn fn, void *arg)
{
	struct bpf_sched_counters sum;
	enum bpf_sched_hook hook;
	struct policy *policy;

	guard(mutex)(&policies_lock);

	list_for_each_entry(policy, &policies, node) {
		for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
			if (!hooks[hook].answers(policy->ops))
				continue;

			sum = sum_counters(policy->counters + hook);
			fn(arg, policy->handle.id, policy->ops->name, hooks[hook].name, &sum);
		}
	}
}
