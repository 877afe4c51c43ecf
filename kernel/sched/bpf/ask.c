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

int bpf_sched_published;
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

const char * const bpf_sched_bound_names[BPF_SCHED_NR_BOUNDS] = {
#define BPF_SCHED_BOUND(bound) #bound,
	BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
};

const char * const bpf_sched_hook_names[BPF_SCHED_NR_HOOKS] = {
#define BPF_SCHED_HOOK(hook, params, args)				\
	[BPF_SCHED_##hook] = #hook,
#include <linux/bpf_sched_hooks.h>
};

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
 * Whom to ask when a question is about a task whose order is @a and touches one
 * whose order is @b: those with BPF_F_PREORDER, then those of the one's cgroups, of
 * the other's, and system-wide ones. Nobody twice. Who was attached by token decides
 * about its own tasks only.
 */
static int split(struct part parts[5], const struct bpf_sched_order *a,
		 const struct bpf_sched_order *b, u64 skip)
{
	u64 delegated = READ_ONCE(bpf_sched_delegated);
	u64 skip_a = skip | (delegated & ~b->members);
	u64 skip_b = skip | delegated | a->members;

	parts[0] = (struct part){ a, 0, a->nr_preorder, skip_a };
	parts[1] = (struct part){ b, 0, b->nr_preorder, skip_b };
	parts[2] = (struct part){ a, a->nr_preorder, a->nr_own, skip_a };
	parts[3] = (struct part){ b, b->nr_preorder, b->nr_own, skip_b };
	parts[4] = (struct part){ a, a->nr_own, a->nr, skip_a };

	return 5;
}

/* An answer is not obeyed, or not to the letter. */
void bpf_sched_overrule(const struct bpf_sched_call *call, enum bpf_sched_hook hook,
			enum bpf_sched_bound bound, int answer)
{
	this_cpu_inc(call->counters->overruled[bound]);
	trace_bpf_sched_overruled(call->this, bpf_sched_hook_names[hook],
				  bpf_sched_bound_names[bound], answer);
}

/* Is this call one that is timed? As in ask.h, which may have counted down already. */
static bool is_due(struct bpf_sched_counters *c)
{
	return !c->countdown || !--c->countdown || static_branch_unlikely(&bpf_stats_enabled_key);
}

#define BPF_SCHED_HOOK(hook, params, args)				\
int bpf_sched_opinion_##hook(struct bpf_sched_ask_##hook *q, int ret)	\
{									\
	const struct bpf_sched_call *call = q->call;			\
									\
	if (ret < 0)							\
		this_cpu_inc(call->counters->negative);			\
	else								\
		this_cpu_inc(call->counters->positive);			\
									\
	if (unlikely(call->shadow)) {					\
		bpf_sched_shadow_##hook(q, this_cpu_read(bpf_sched_rq), ret); \
		return 0;						\
	}								\
									\
	return ret;							\
}									\
									\
static int ask_part_##hook(struct bpf_sched_ask_##hook *q, const struct part *part) \
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
		ret = bpf_sched_call_##hook(q, call, true);		\
		if (unlikely(start))					\
			bpf_sched_timed(call, c, start, sched_clock());	\
									\
		if (likely(!ret))					\
			continue;					\
		ret = bpf_sched_opinion_##hook(q, ret);			\
		if (ret)						\
			return ret;					\
	}								\
									\
	return 0;							\
}									\
									\
int bpf_sched_ask_all_##hook(struct bpf_sched_ask_##hook *q,		\
			     const struct bpf_sched_order *a,		\
			     const struct bpf_sched_order *b)		\
{									\
	u64 silent = READ_ONCE(bpf_sched_silent);			\
	struct part parts[5] __uninitialized;				\
	int i, ret, nr = 1;						\
									\
	if (!(a->nr | b->nr))						\
		return 0;						\
									\
	if (a == b)							\
		parts[0] = (struct part){ a, 0, a->nr, silent };	\
	else								\
		nr = split(parts, a, b, silent);			\
									\
	for (i = 0; i < nr; i++) {					\
		ret = ask_part_##hook(q, &parts[i]);			\
		if (ret)						\
			return ret;					\
	}								\
									\
	return 0;							\
}

#include <linux/bpf_sched_hooks.h>
