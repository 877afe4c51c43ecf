/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_ASK_H
#define _KERNEL_SCHED_BPF_ASK_H

/*
 * Asks policies. This is what runs at a decision point of the fair class, inlined
 * into answer.c; whom to ask, in which order and how to call them is prepared in
 * policy.c and scope.c. Here is the usual case, one policy that has no opinion; the
 * others are in ask.c.
 */

#include <linux/args.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "internal.h"

/**
 * struct bpf_sched_whom - whom to ask
 * @a: the orders, per hook, for the task that a question is about
 * @b: those for the other task of a wakeup; often the same, else @a's
 * @silent: policies that are attached but not to be asked, as a mask
 */
struct bpf_sched_whom {
	const struct bpf_sched_order *a;
	const struct bpf_sched_order *b;
	u64 silent;
};

static __always_inline const struct bpf_sched_order *bpf_sched_orders(struct task_struct *p,
								      int gen)
{
	return rcu_dereference_sched(task_dfl_cgroup(p)->bpf_sched)->order[gen];
}

/*
 * Begin to ask about @p and, for a wakeup, @other.
 *
 * Context: the lock of @rq is held, so that cgroups, scopes and policies stay.
 */
static __always_inline struct bpf_sched_whom
bpf_sched_whom(struct rq *rq, struct task_struct *p, struct task_struct *other)
{
	/* Pairs with the release in publish(). */
	int gen = smp_load_acquire(&bpf_sched_published);
	struct bpf_sched_whom whom;

	whom.a = bpf_sched_orders(p, gen);
	whom.b = other == p ? whom.a : bpf_sched_orders(other, gen);
	whom.silent = READ_ONCE(bpf_sched_silent);
	this_cpu_write(bpf_sched_rq, rq);

	return whom;
}

/*
 * Run a program without the trampoline that its slot of the table leads to, as
 * tracepoints do: it takes several times as long as all else here, to do what is done
 * here already. A grace period waits for CPUs whose interrupts are off; what checks
 * that a reader is one has to be told.
 */
static __always_inline int bpf_sched_run(const struct bpf_prog *prog, const void *args)
{
	int ret;

	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_lock();
	ret = bpf_prog_run(prog, args);
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_unlock();

	return ret;
}

/* The arguments of a program are an array of words. */
#define BPF_SCHED_WORD(arg)		((u64)(unsigned long)(arg))
#define BPF_SCHED_WORDS_2(a, b)		BPF_SCHED_WORD(a), BPF_SCHED_WORD(b)
#define BPF_SCHED_WORDS_3(a, b, c)	BPF_SCHED_WORDS_2(a, b), BPF_SCHED_WORD(c)
#define BPF_SCHED_WORDS(...)	\
	CONCATENATE(BPF_SCHED_WORDS_, COUNT_ARGS(__VA_ARGS__))(__VA_ARGS__)

/*
 * For each hook:
 *
 * bpf_sched_ask_<hook>() asks the policies that answer it until one has an opinion.
 * Returns that answer, or zero, and sets *@who to whose it is.
 *
 * bpf_sched_ask_all_<hook>() does so in all cases, bpf_sched_opinion_<hook>() with the
 * answer @ret of @call: counts it, and makes zero of it if it is not to be obeyed.
 *
 * bpf_sched_shadow_<hook>() compares the answer of a shadow policy with what the
 * fair class is about to decide; see answer.c.
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
int bpf_sched_ask_all_##hook(const struct bpf_sched_call **who, struct rq *rq, \
			     const struct bpf_sched_order *a,		\
			     const struct bpf_sched_order *b, u64 silent, \
			     BPF_SCHED_LIST params);			\
int bpf_sched_opinion_##hook(const struct bpf_sched_call **who,		\
			     const struct bpf_sched_call *call,		\
			     struct rq *rq, int ret, BPF_SCHED_LIST params); \
void bpf_sched_shadow_##hook(const struct bpf_sched_call *call,		\
			     struct rq *rq, int ret, BPF_SCHED_LIST params); \
									\
static __always_inline int						\
bpf_sched_call_##hook(const struct bpf_sched_call *call, BPF_SCHED_LIST params) \
{									\
	const struct bpf_prog *prog = call->prog;			\
									\
	if (prog) {							\
		/* Not an array: the stack would be aligned for it. */	\
		struct {						\
			u64 words[1 + COUNT_ARGS args];			\
		} ctx = { { BPF_SCHED_WORDS args, BPF_SCHED_WORD(call->this) } }; \
									\
		return bpf_sched_run(prog, &ctx);			\
	}								\
									\
	return call->this->ops->hook(BPF_SCHED_LIST args, call->this);	\
}									\
									\
static __always_inline int						\
bpf_sched_ask_##hook(const struct bpf_sched_call **who, struct rq *rq,	\
		     struct bpf_sched_whom whom, BPF_SCHED_LIST params)	\
{									\
	const struct bpf_sched_order *order = &whom.a[BPF_SCHED_##hook]; \
	const struct bpf_sched_call *call = order->only;		\
	int ret;							\
									\
	/* Policies of other tasks, or of other hooks, cost no more than this. */ \
	if (!call && whom.a == whom.b && !order->nr)			\
		return 0;						\
									\
	if (unlikely(whom.a != whom.b) || unlikely(!call) ||		\
	    unlikely(call->bit & whom.silent) ||			\
	    static_branch_unlikely(&bpf_stats_enabled_key) ||		\
	    unlikely(!--this_cpu_ptr(call->counters)->countdown))	\
		return bpf_sched_ask_all_##hook(who, rq, order, &whom.b[BPF_SCHED_##hook], \
						whom.silent, BPF_SCHED_LIST args); \
									\
	ret = bpf_sched_call_##hook(call, BPF_SCHED_LIST args);		\
	if (unlikely(ret))						\
		return bpf_sched_opinion_##hook(who, call, rq, ret, BPF_SCHED_LIST args); \
									\
	return 0;							\
}

#include <linux/bpf_sched_hooks.h>

#endif /* _KERNEL_SCHED_BPF_ASK_H */
