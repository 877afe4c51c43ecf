// SPDX-License-Identifier: GPL-2.0
/*
 * Asks policies where it is not as simple as in ask.h: several of them, for tasks of
 * different cgroups, a call that is timed, an answer that is an opinion.
 */

#include <linux/bpf.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/percpu.h>
#include <linux/sched/clock.h>
#include <trace/events/bpf_sched.h>

#include "../sched.h"
#include "ask.h"
#include "hooks.h"
#include "internal.h"

unsigned int bpf_sched_published;
u64 bpf_sched_delegated;
DEFINE_PER_CPU(struct rq *, bpf_sched_rq);

#define BPF_SCHED_HOOK(hook, params, args)				\
	DEFINE_STATIC_KEY_DEFERRED_FALSE(bpf_sched_key_##hook, HZ);	\
									\
	static int bpf_sched_ops__##hook BPF_SCHED_PROTO(params)	\
	{								\
		return 0;						\
	}

#include <linux/bpf_sched_hooks.h>

struct bpf_sched_ops bpf_sched_stubs = {
#define BPF_SCHED_HOOK(hook, params, args) .hook = bpf_sched_ops__##hook,
#include <linux/bpf_sched_hooks.h>
};

const char * const bpf_sched_hook_names[BPF_SCHED_NR_HOOKS] = {
#define BPF_SCHED_HOOK(hook, params, args)				\
	[BPF_SCHED_##hook] = #hook,
#include <linux/bpf_sched_hooks.h>
};

const char * const bpf_sched_bound_names[BPF_SCHED_NR_BOUNDS] = {
#define BPF_SCHED_BOUND(bound) #bound,
	BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
};

/* The answer of @call is not obeyed, or not to the letter. */
void bpf_sched_overrule(const struct bpf_sched_call *call, enum bpf_sched_hook hook,
			enum bpf_sched_bound bound, int answer)
{
	this_cpu_inc(call->counters->overruled[bound]);
	trace_bpf_sched_overruled(call->this, bpf_sched_hook_names[hook],
				  bpf_sched_bound_names[bound], answer);
}

/**
 * struct part - a part of an order
 * @order: the order
 * @begin: the first one to ask
 * @end: one after the last
 * @skip: mask of those not to ask
 */
struct part {
	const struct bpf_sched_order *order;
	unsigned int begin;
	unsigned int end;
	u64 skip;
};

/*
 * Whom to ask when a question is about @p and touches @other: those with
 * BPF_F_PREORDER, then those of the one's cgroups, of the other's, and system-wide
 * ones. Nobody twice. Who was attached by token decides about its own tasks only.
 */
static int split(struct part parts[5], enum bpf_sched_hook hook, struct task_struct *p,
		 struct task_struct *other)
{
	/* Pairs with the release in publish(). */
	unsigned int gen = smp_load_acquire(&bpf_sched_published);
	const struct bpf_sched_order *a = &bpf_sched_orders(p, gen)[hook];
	const struct bpf_sched_order *b = &bpf_sched_orders(other, gen)[hook];
	u64 delegated = READ_ONCE(bpf_sched_delegated);
	u64 silent = READ_ONCE(bpf_sched_silent);
	u64 skip_a = silent | (delegated & ~b->members);
	u64 skip_b = silent | delegated | a->members;

	if (a == b) {
		parts[0] = (struct part){ a, 0, a->nr, silent };
		return 1;
	}

	parts[0] = (struct part){ a, 0, a->nr_preorder, skip_a };
	parts[1] = (struct part){ b, 0, b->nr_preorder, skip_b };
	parts[2] = (struct part){ a, a->nr_preorder, a->nr_own, skip_a };
	parts[3] = (struct part){ b, b->nr_preorder, b->nr_own, skip_b };
	parts[4] = (struct part){ a, a->nr_own, a->nr, skip_a };

	return 5;
}

/* Is this call one that is timed? As in ask.h, which may have counted down already. */
static bool is_due(struct bpf_sched_counters *c)
{
	return !c->countdown || !--c->countdown || static_branch_unlikely(&bpf_stats_enabled_key);
}

/*
 * For each hook, besides what is in ask.h:
 *
 * opinion_<hook>() counts the answer @ret of @call, and makes zero of it if it is not
 * to be obeyed. ask_part_<hook>() and ask_all_<hook>() ask until one has an opinion.
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
static int opinion_##hook(const struct bpf_sched_call **who,		\
			  const struct bpf_sched_call *call,		\
			  struct rq *rq, int ret, BPF_SCHED_LIST params) \
{									\
	if (!ret)							\
		return 0;						\
									\
	if (ret < 0)							\
		this_cpu_inc(call->counters->negative);			\
	else								\
		this_cpu_inc(call->counters->positive);			\
									\
	if (unlikely(call->shadow)) {					\
		bpf_sched_shadow_##hook(call, rq, ret, BPF_SCHED_LIST args); \
		return 0;						\
	}								\
									\
	*who = call;							\
	return ret;							\
}									\
									\
static int ask_part_##hook(const struct bpf_sched_call **who, const struct part *part, \
			   struct rq *rq, BPF_SCHED_LIST params)	\
{									\
	unsigned int i;							\
	int ret;							\
									\
	for (i = part->begin; i < part->end; i++) {			\
		const struct bpf_sched_call *call = part->order->calls[i]; \
		struct bpf_sched_counters *c = this_cpu_ptr(call->counters); \
		u64 start = 0;						\
									\
		if (unlikely(call->bit & part->skip))			\
			continue;					\
									\
		if (unlikely(is_due(c)))				\
			start = sched_clock();				\
		ret = bpf_sched_call_##hook(call, BPF_SCHED_LIST args); \
		if (unlikely(start))					\
			bpf_sched_timed(call, c, start, sched_clock());	\
									\
		ret = opinion_##hook(who, call, rq, ret, BPF_SCHED_LIST args); \
		if (ret)						\
			return ret;					\
	}								\
									\
	return 0;							\
}									\
									\
static int ask_all_##hook(const struct bpf_sched_call **who, struct rq *rq, \
			  struct task_struct *task, struct task_struct *other, \
			  BPF_SCHED_LIST params)			\
{									\
	struct part parts[5];						\
	int i, ret, nr = split(parts, BPF_SCHED_##hook, task, other);	\
									\
	for (i = 0; i < nr; i++) {					\
		ret = ask_part_##hook(who, &parts[i], rq, BPF_SCHED_LIST args); \
		if (ret)						\
			return ret;					\
	}								\
									\
	return 0;							\
}									\
									\
int bpf_sched_rest_##hook(const struct bpf_sched_call **who, struct rq *rq, \
			  const struct bpf_sched_order *orders, long ret, \
			  struct task_struct *task, struct task_struct *other, \
			  BPF_SCHED_LIST params)			\
{									\
	if (ret == BPF_SCHED_UNUSUAL)					\
		return ask_all_##hook(who, rq, task, other, BPF_SCHED_LIST args); \
									\
	return opinion_##hook(who, orders[BPF_SCHED_##hook].only, rq, ret, \
			      BPF_SCHED_LIST args);			\
}

#include <linux/bpf_sched_hooks.h>
