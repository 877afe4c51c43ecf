// SPDX-License-Identifier: GPL-2.0
/*
 * Attaches, replaces and detaches policies, and asks them.
 *
 * What is asked exists in two generations: the order of each scope and the table
 * of each policy. A change makes the next generation, publishes it with one store
 * and waits for a grace period: questions see the policies before the change or
 * after it, never half of it, and after the wait no CPU is inside a policy that
 * has left. As a change waits for the readers of the one before, two generations
 * are enough, and neither detaching nor replacing needs memory.
 */

#include <linux/bpf.h>
#include <linux/cgroup.h>
#include <linux/cleanup.h>
#include <linux/filter.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/timekeeping.h>

#define CREATE_TRACE_POINTS
#include <trace/events/bpf_sched.h>

#include "hooks.h"
#include "internal.h"

/* The generation that questions see. */
static int published;

/* By index. A question reads those that its generation's order names. */
static struct bpf_sched_attachment *policies[BPF_SCHED_MAX_POLICIES];

/* Serializes changes; protects all that is below, and the scopes. */
static DEFINE_MUTEX(policies_lock);
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

/* On while a shadow policy is attached. */
DEFINE_STATIC_KEY_FALSE(bpf_sched_key_shadow);

struct bpf_sched_ops bpf_sched_stubs = {
#define BPF_SCHED_HOOK(hook, params, args) .hook = bpf_sched_ops__##hook,
#include <linux/bpf_sched_hooks.h>
};

const char * const bpf_sched_hook_names[BPF_SCHED_NR_HOOKS] = {
#define BPF_SCHED_HOOK(hook, params, args)				\
	[BPF_SCHED_##hook] = #hook,
#include <linux/bpf_sched_hooks.h>
};

/**
 * struct hook - a hook, for what is done to all of them
 * @key: on while a policy answers it
 * @answers: does this table answer it?
 * @leads_to: does its static call lead to the answer of this table?
 * @redirect: make it so
 */
struct hook {
	struct static_key_false *key;
	bool (*answers)(const struct bpf_sched_ops *ops);
	bool (*leads_to)(const struct bpf_sched_ops *ops);
	void (*redirect)(const struct bpf_sched_ops *ops);
};

static const struct hook hooks[] = {
#define BPF_SCHED_HOOK(hook, params, args)				\
	[BPF_SCHED_##hook] = {						\
		.key		= &bpf_sched_key_##hook,		\
		.answers	= answers_##hook,			\
		.leads_to	= leads_to_##hook,			\
		.redirect	= redirect_##hook,			\
	},
#include <linux/bpf_sched_hooks.h>
};

bool bpf_sched_has_answer(const struct bpf_sched_ops *ops, enum bpf_sched_hook hook)
{
	return hooks[hook].answers(ops);
}

/* The policy of this index. To be used where a question may be asked. */
struct bpf_sched_attachment *bpf_sched_attachment(unsigned int index)
{
	return policies[index];
}

/**
 * struct merge - an order that is being put together
 * @order: the result
 * @seen: mask of the policies in it
 */
struct merge {
	struct bpf_sched_order order;
	u64 seen;
};

static void merge(struct merge *m, const struct bpf_sched_order *from,
		  unsigned int begin, unsigned int end)
{
	unsigned int i;

	for (i = begin; i < end; i++) {
		u64 bit = BIT_ULL(from->index[i]);

		if (m->seen & bit)
			continue;
		m->seen |= bit;
		m->order.index[m->order.nr++] = from->index[i];
	}
}

/*
 * Whom to ask when a question is about one task and touches @other: the policies
 * of the one's cgroups, then of the other's, then system-wide ones; those with
 * BPF_F_PREORDER before all others and the other way round. @m is for the case
 * that no ready order serves.
 */
static const struct bpf_sched_order *
whom_to_ask(struct merge *m, enum bpf_sched_hook hook, int gen,
	    struct task_struct *about, struct task_struct *other)
{
	const struct bpf_sched_order *system = &bpf_sched_system.order[gen][hook], *a, *b;
	const struct bpf_sched_scope *scope = bpf_sched_task_scope(about), *scope2;

	scope2 = other ? bpf_sched_task_scope(other) : NULL;
	if (scope2 == scope)
		scope2 = NULL;
	if (!scope && !scope2)
		return system;

	a = scope ? &scope->order[gen][hook] : NULL;
	b = scope2 ? &scope2->order[gen][hook] : NULL;
	if (a && !b && !system->nr)
		return a;

	m->order.nr = 0;
	m->seen = 0;
	merge(m, system, 0, system->nr_preorder);
	if (a)
		merge(m, a, 0, a->nr_preorder);
	if (b)
		merge(m, b, 0, b->nr_preorder);
	if (a)
		merge(m, a, a->nr_preorder, a->nr);
	if (b)
		merge(m, b, b->nr_preorder, b->nr);
	merge(m, system, system->nr_preorder, system->nr);

	return &m->order;
}

/* Is this call one of those that are timed, and why? */
struct timing {
	u64 start;
	bool sample;
	bool on;
};

static __always_inline struct timing begin_call(struct bpf_sched_counters __percpu *counters)
{
	u64 calls = __this_cpu_read(counters->calls);
	struct timing timing;

	timing.sample = calls < BPF_SCHED_TIMED_CALLS || !(calls % BPF_SCHED_TIMED_CALLS);
	timing.on = timing.sample || static_branch_unlikely(&bpf_stats_enabled_key);
	timing.start = timing.on ? sched_clock() : 0;

	return timing;
}

static __always_inline void end_call(struct bpf_sched_attachment *policy,
				     enum bpf_sched_hook hook,
				     const struct bpf_sched_order *order,
				     struct timing timing, int ret)
{
	struct bpf_sched_counters __percpu *counters = policy->counters + hook;

	if (unlikely(timing.on))
		bpf_sched_timed(policy, hook, sched_clock() - timing.start,
				timing.sample ? order : NULL);

	__this_cpu_inc(counters->calls);
	if (ret < 0)
		__this_cpu_inc(counters->negative);
	else if (ret > 0)
		__this_cpu_inc(counters->positive);
	else
		__this_cpu_inc(counters->zero);
}

/*
 * A policy to which the static call of the hook leads, mostly the only one, is
 * called through it: no indirect branch. Only @direct says where it leads, which
 * the acquire orders before the call; see publish().
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
int bpf_sched_ask_##hook(struct bpf_sched_answer *answer,		\
			 struct task_struct *about,			\
			 struct task_struct *other,			\
			 BPF_SCHED_LIST params)				\
{									\
	const struct bpf_sched_order *order;				\
	struct merge m;							\
	unsigned int i;							\
	int gen, ret;							\
									\
	guard(rcu)();							\
									\
	*answer = (struct bpf_sched_answer){};				\
	if (unlikely(READ_ONCE(bpf_sched_off)))				\
		return 0;						\
									\
	/* Pairs with the release in publish(). */			\
	gen = smp_load_acquire(&published);				\
	order = whom_to_ask(&m, BPF_SCHED_##hook, gen, about, other);	\
									\
	for (i = 0; i < order->nr; i++) {				\
		struct bpf_sched_attachment *policy = policies[order->index[i]]; \
		const struct bpf_sched_answers *answers = &policy->answers[gen]; \
		const struct bpf_sched_policy *this = &answers->handle;	\
		struct timing timing;					\
									\
		if (unlikely(bpf_sched_is_slow(policy)))		\
			continue;					\
		timing = begin_call(policy->counters + BPF_SCHED_##hook); \
		/* Pairs with the release in direct_calls(). */		\
		if (smp_load_acquire(&answers->direct[BPF_SCHED_##hook])) \
			ret = static_call(bpf_sched_call_##hook)	\
				(BPF_SCHED_LIST args, this);		\
		else							\
			ret = this->ops->hook(BPF_SCHED_LIST args, this);	\
		end_call(policy, BPF_SCHED_##hook, order, timing, ret);	\
		if (!ret)						\
			continue;					\
									\
		if (unlikely(this->ops->flags & BPF_SCHED_F_SHADOW)) { \
			answer->shadow[ret > 0] |= BIT_ULL(policy->index); \
			continue;					\
		}							\
									\
		answer->policy = policy;				\
		return ret;						\
	}								\
									\
	return 0;							\
}

#include <linux/bpf_sched_hooks.h>

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

static void set_key(struct static_key_false *key, bool on)
{
	if (on)
		static_branch_enable(key);
	else
		static_branch_disable(key);
}

/*
 * Nobody uses the static call for the generation before: lead it to one of the
 * policies that answer @hook, if it leads to none.
 */
static void direct_calls(enum bpf_sched_hook hook, int gen)
{
	struct bpf_sched_attachment *policy, *first = NULL;
	unsigned int i;

	for_each_policy(i, policy) {
		if (list_empty(&policy->node) ||
		    !hooks[hook].answers(policy->answers[gen].handle.ops))
			continue;
		if (policy->answers[gen].direct[hook])
			return;
		if (!first)
			first = policy;
	}

	hooks[hook].redirect(first ? first->answers[gen].handle.ops : &bpf_sched_stubs);
	if (first) {
		/* Pairs with the acquire in bpf_sched_ask_*(). */
		smp_store_release(&first->answers[gen].direct[hook], true);
	}
}

/*
 * Make what is attached what is asked. @replaced, if not NULL, gets the answers
 * @new. On return no CPU is inside a policy or in a scope that is not attached, and none
 * will be.
 */
static void publish(struct bpf_sched_attachment *replaced, const struct bpf_sched_ops *new)
{
	bool answered[BPF_SCHED_NR_HOOKS] = {}, shadow = false;
	struct bpf_sched_attachment *policy;
	const struct bpf_sched_ops *ops;
	int gen = published, next = !gen;
	enum bpf_sched_hook hook;
	unsigned int i;

	lockdep_assert_held(&policies_lock);

	for_each_policy(i, policy) {
		struct bpf_sched_answers *answers = &policy->answers[next];

		ops = policy == replaced ? new : policy->answers[gen].handle.ops;
		answers->handle.ops = ops;
		memcpy(answers->direct, policy->answers[gen].direct, sizeof(answers->direct));
		if (list_empty(&policy->node))
			continue;

		for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
			/* A static call that leads where it should needs no detour. */
			bool answer = hooks[hook].answers(ops);

			answers->direct[hook] = answer && hooks[hook].leads_to(ops);
			answered[hook] |= answer;
		}
		shadow |= ops->flags & BPF_SCHED_F_SHADOW;
	}
	bpf_sched_scopes_order(next);

	/* Pairs with the acquire in bpf_sched_ask_*(). */
	smp_store_release(&published, next);

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++)
		set_key(hooks[hook].key, answered[hook]);
	set_key(&bpf_sched_key_shadow, shadow);

	/* Questions are asked inside an RCU read-side section. */
	synchronize_rcu();

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++)
		direct_calls(hook, next);
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
 * Return: 0, or -EINVAL if it answers no hook, has no name or one with other
 * characters than that of a BPF object, or has a flag that this kernel does not
 * know, which must not be ignored.
 */
int bpf_sched_validate(const struct bpf_sched_ops *ops)
{
	char name[BPF_SCHED_NAME_LEN];
	enum bpf_sched_hook hook;

	if (bpf_obj_name_cpy(name, ops->name, sizeof(name)) <= 0)
		return -EINVAL;
	if (ops->flags & ~BPF_SCHED_F_ALL)
		return -EINVAL;

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		if (hooks[hook].answers(ops))
			return 0;
	}

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

static struct bpf_sched_attachment *alloc_policy(void)
{
	struct bpf_sched_attachment *policy = kzalloc_obj(*policy);

	if (!policy)
		return NULL;

	policy->counters = __alloc_percpu(sizeof(*policy->counters) * BPF_SCHED_NR_HOOKS,
					  __alignof__(*policy->counters));
	if (!policy->counters) {
		kfree(policy);
		return NULL;
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
	publish(NULL, NULL);
	free_policy(policy);
}

/**
 * bpf_sched_attach - start to ask a policy
 * @ops: its answers, valid until it is detached or replaced
 * @link: the link that keeps it attached, or NULL
 * @reg: the registration that does, if no link does
 * @target: the tasks that it is asked about, and its place among the policies
 *	    that are attached there: the last, if nothing else is said
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0; -EBUSY if @reg has a policy already; -E2BIG if
 * BPF_SCHED_MAX_POLICIES are attached; -ENOMEM; -EINVAL if
 * the flags of @target contradict each other or the policy they relate to;
 * -ENOENT if that one is not attached to the same cgroup.
 */
int bpf_sched_attach(const struct bpf_sched_ops *ops, const struct bpf_link *link,
		     const struct bpf_sched_registration *reg,
		     const struct bpf_struct_ops_target *target)
{
	struct bpf_sched_attachment *policy;
	struct bpf_sched_policy handle;
	unsigned int index;
	int ret;

	guard(mutex)(&policies_lock);

	if (reg && find_policy(reg))
		return -EBUSY;

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
		.ops		= ops,
	};
	policy->answers[0].handle = handle;
	policy->answers[1].handle = handle;
	policy->link = link;
	policy->registration = reg;
	policy->preorder = target->flags & BPF_F_PREORDER;
	policy->index = index;
	policy->attached_ns = ktime_get_boottime_ns();
	policies[index] = policy;

	policy->scope = &bpf_sched_system;
	if (target->cgrp)
		policy->scope = bpf_sched_scope_get(target->cgrp, published);
	ret = policy->scope ? insert(policy, target) : -ENOMEM;
	if (ret) {
		if (policy->scope && policy->scope->cgrp && list_empty(&policy->scope->policies))
			retire_policy(policy);
		else
			free_policy(policy);
		return ret;
	}

	publish(NULL, NULL);
	trace_bpf_sched_attach(bpf_sched_handle(policy), ops);

	/* The cgroup may have been removed before its scope could be seen. */
	if (target->cgrp && cgroup_is_dead(target->cgrp))
		bpf_sched_reap();

	return 0;
}

/**
 * bpf_sched_replace - let other answers take the place of a policy's
 * @new: its new answers, valid until it is detached or replaced
 * @holder: the link or the registration of the policy
 *
 * The policy keeps its scope, its place in the order, its id and its
 * counters. All hooks change at the same moment. On return no CPU uses the
 * answers from before.
 *
 * Context: process context, sleeps for a grace period.
 * Return: 0, or -ENOLINK if the policy is not attached.
 */
int bpf_sched_replace(const struct bpf_sched_ops *new, const void *holder)
{
	struct bpf_sched_attachment *policy;

	guard(mutex)(&policies_lock);

	policy = find_policy(holder);
	if (!policy)
		return -ENOLINK;

	publish(policy, new);
	bpf_sched_acquit(policy);
	trace_bpf_sched_replace(bpf_sched_handle(policy), new);

	return 0;
}

static void detach(struct bpf_sched_attachment *policy)
{
	trace_bpf_sched_detach(bpf_sched_handle(policy), policy->answers[published].handle.ops);
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

/* The same for the policy of this id. Its holder may have detached it meanwhile. */
void bpf_sched_detach_id(u32 id)
{
	struct bpf_sched_attachment *policy;
	unsigned int i;

	guard(mutex)(&policies_lock);

	for_each_policy(i, policy) {
		if (bpf_sched_handle(policy)->id == id) {
			detach(policy);
			return;
		}
	}
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

/* What @policy answered to @hook, summed over all CPUs. */
struct bpf_sched_counters bpf_sched_sum(const struct bpf_sched_attachment *policy,
					enum bpf_sched_hook hook)
{
	struct bpf_sched_counters sum = {};
	enum bpf_sched_bound bound;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct bpf_sched_counters *c = per_cpu_ptr(policy->counters + hook, cpu);

		sum.calls += READ_ONCE(c->calls);
		sum.negative += READ_ONCE(c->negative);
		sum.zero += READ_ONCE(c->zero);
		sum.positive += READ_ONCE(c->positive);
		for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
			sum.overruled[bound] += READ_ONCE(c->overruled[bound]);
		sum.differ += READ_ONCE(c->differ);
		sum.slow += READ_ONCE(c->slow);
		sum.time_ns += READ_ONCE(c->time_ns);
		sum.max_ns = max(sum.max_ns, READ_ONCE(c->max_ns));
	}

	return sum;
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
		fn(arg, next, next->answers[published].handle.ops);
	}
}
