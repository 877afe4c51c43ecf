// SPDX-License-Identifier: GPL-2.0
/*
 * Scopes: which policies are asked about a task, and in which order.
 *
 * A cgroup points to the scope of its nearest ancestor, itself included, that has
 * policies attached, or to that of the whole system. So a question finds the policies
 * of a task through one pointer, however deep its cgroup is and however many policies
 * exist, and a task that moves is judged by its new cgroup with the next question.
 *
 * A scope lists the policies of its cgroup, of all ancestors and of the whole system.
 * BPF_F_PREORDER ones come first, from the system down; then the others, from the
 * cgroup up.
 */

#include <linux/bpf.h>
#include <linux/cgroup.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "internal.h"

struct bpf_sched_scope bpf_sched_system = {
	.policies	= LIST_HEAD_INIT(bpf_sched_system.policies),
};

/* The scopes of cgroups. Protected, as what is in them, by the caller's lock. */
static LIST_HEAD(scopes);

static struct bpf_sched_scope *cgroup_scope(struct cgroup *cgrp)
{
	return rcu_dereference_protected(cgrp->bpf_sched, lockdep_is_held(&cgroup_mutex));
}

/* The scope that is inherited by @cgrp. */
static struct bpf_sched_scope *inherited_scope(struct cgroup *cgrp)
{
	struct cgroup *parent = cgroup_parent(cgrp);

	return parent ? cgroup_scope(parent) : &bpf_sched_system;
}

/*
 * Let the cgroups at and below @cgrp that are in the scope @from be in @to. Those
 * that are being removed are included: tasks that exit may still be in them.
 */
static void retarget(struct cgroup *cgrp, struct bpf_sched_scope *from,
		     struct bpf_sched_scope *to)
{
	struct cgroup_subsys_state *css;

	lockdep_assert_held(&cgroup_mutex);

	css_for_each_descendant_pre(css, &cgrp->self) {
		if (cgroup_scope(css->cgroup) == from)
			rcu_assign_pointer(css->cgroup->bpf_sched, to);
	}
}

/*
 * The scope of the subtree of @cgrp, made if there is none. A new one is in use
 * at once and leads to the same policies as before in the generation @published.
 * NULL if there is no memory.
 *
 * Context: takes cgroup_mutex.
 */
struct bpf_sched_scope *bpf_sched_scope_get(struct cgroup *cgrp, int published)
{
	struct bpf_sched_scope *scope, *from;

	list_for_each_entry(scope, &scopes, node) {
		if (scope->cgrp == cgrp)
			return scope;
	}

	scope = kzalloc_obj(*scope);
	if (!scope)
		return NULL;

	cgroup_get(cgrp);
	scope->cgrp = cgrp;
	INIT_LIST_HEAD(&scope->policies);
	list_add_tail(&scope->node, &scopes);

	cgroup_lock();
	from = cgroup_scope(cgrp);
	memcpy(scope->order[published], from->order[published],
	       sizeof(scope->order[published]));
	retarget(cgrp, from, scope);
	cgroup_unlock();

	return scope;
}

/*
 * Let no question find @scope any more. To be freed after a grace period.
 *
 * Context: takes cgroup_mutex.
 */
void bpf_sched_scope_retire(struct bpf_sched_scope *scope)
{
	list_del(&scope->node);
	cgroup_lock();
	retarget(scope->cgrp, scope, inherited_scope(scope->cgrp));
	cgroup_unlock();
}

void bpf_sched_scope_free(struct bpf_sched_scope *scope)
{
	cgroup_put(scope->cgrp);
	kfree(scope);
}

/* Append what is attached to @scope itself, if it is @preorder or if it is not. */
static void append(struct bpf_sched_order *orders, const struct bpf_sched_scope *scope,
		   bool preorder, int gen)
{
	struct bpf_sched_attachment *policy;
	enum bpf_sched_hook hook;

	list_for_each_entry(policy, &scope->policies, node) {
		const struct bpf_sched_answers *answers = &policy->answers[gen];

		if (policy->preorder != preorder)
			continue;

		for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
			struct bpf_sched_order *order = &orders[hook];

			if (!bpf_sched_has_answer(answers->handle.ops, hook))
				continue;

			order->calls[order->nr++] = &answers->calls[hook];
			order->members |= BIT_ULL(policy->index);
			order->nr_preorder += preorder;
			order->nr_own += preorder || scope->cgrp;
		}
	}
}

/* The scope of an ancestor of @scope's cgroup that is next above it, or NULL. */
static struct bpf_sched_scope *scope_above(const struct bpf_sched_scope *scope)
{
	struct bpf_sched_scope *above = NULL, *s;

	list_for_each_entry(s, &scopes, node) {
		if (s != scope && cgroup_is_descendant(scope->cgrp, s->cgrp) &&
		    (!above || s->cgrp->level > above->cgrp->level))
			above = s;
	}

	return above;
}

static void order_scope(struct bpf_sched_scope *scope, int gen)
{
	struct bpf_sched_scope *up[BPF_SCHED_MAX_POLICIES + 1];
	struct bpf_sched_order *orders = scope->order[gen];
	enum bpf_sched_hook hook;
	unsigned int nr = 0, i;

	memset(orders, 0, sizeof(scope->order[gen]));

	/* Each scope of a cgroup has a policy, so there are no more than policies. */
	for (; scope && scope->cgrp; scope = scope_above(scope))
		up[nr++] = scope;
	up[nr++] = &bpf_sched_system;

	for (i = nr; i--; )
		append(orders, up[i], true, gen);
	for (i = 0; i < nr; i++)
		append(orders, up[i], false, gen);
	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++)
		orders[hook].only = orders[hook].nr == 1 ? orders[hook].calls[0] : NULL;
}

/* Make the orders of generation @next of what is attached. */
void bpf_sched_scopes_order(int next)
{
	struct bpf_sched_scope *scope;

	order_scope(&bpf_sched_system, next);
	list_for_each_entry(scope, &scopes, node)
		order_scope(scope, next);
}

static int cgroup_lifetime(struct notifier_block *nb, unsigned long action, void *data)
{
	struct cgroup *cgrp = data;

	switch (action) {
	case CGROUP_LIFETIME_ONLINE:
		RCU_INIT_POINTER(cgrp->bpf_sched, inherited_scope(cgrp));
		break;
	case CGROUP_LIFETIME_OFFLINE:
		if (rcu_access_pointer(cgrp->bpf_sched) != &bpf_sched_system)
			irq_work_queue(&bpf_sched_reap);
		break;
	}

	return NOTIFY_OK;
}

static struct notifier_block cgroup_nb = {
	.notifier_call	= cgroup_lifetime,
};

static int __init bpf_sched_scope_init(void)
{
	RCU_INIT_POINTER(cgrp_dfl_root.cgrp.bpf_sched, &bpf_sched_system);

	return blocking_notifier_chain_register(&cgroup_lifetime_notifier, &cgroup_nb);
}
core_initcall(bpf_sched_scope_init);
