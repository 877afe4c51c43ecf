/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_ASK_H
#define _KERNEL_SCHED_BPF_ASK_H

/*
 * Asks policies. This is what runs at a decision point of the fair class, inlined
 * into wakeup.c and request.c; whom to ask, in which order and how to call them is
 * prepared in policy.c and scope.c. Here is the usual case, one policy that has no
 * opinion; the others are in ask.c.
 */

#include <linux/args.h>
#include <linux/cgroup.h>
#include <linux/filter.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "internal.h"

/**
 * struct bpf_sched_whom - whom to ask
 * @orders: per hook, for the task that a question is about
 * @skip: policies that are attached but not to be asked, as a mask: all of them, if
 *	  other policies are to be asked about the other task of a wakeup
 */
struct bpf_sched_whom {
	const struct bpf_sched_order *orders;
	u64 skip;
};

static __always_inline const struct bpf_sched_order *bpf_sched_orders(struct task_struct *p,
								      unsigned int gen)
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
	unsigned int gen = smp_load_acquire(&bpf_sched_published);
	struct bpf_sched_whom whom = {
		.orders	= bpf_sched_orders(p, gen),
		.skip	= READ_ONCE(bpf_sched_silent),
	};

	if (rcu_access_pointer(other->cgroups) != rcu_access_pointer(p->cgroups) &&
	    bpf_sched_orders(other, gen) != whom.orders)
		whom.skip = ~0ULL;
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

/* What no policy can answer: that none was asked, as it is not the usual case. */
#define BPF_SCHED_UNUSUAL	LONG_MIN

/*
 * For each hook:
 *
 * bpf_sched_try_<hook>() asks the one policy that answers it, if it is as simple as
 * that, or returns BPF_SCHED_UNUSUAL. Where that or an answer comes back,
 * bpf_sched_rest_<hook>() does the rest, about @task and @other: so all that is kept
 * in registers meanwhile is what the usual case needs.
 *
 * bpf_sched_ask_<hook>() is both: asks policies until one has an opinion. Returns that
 * answer, or zero, and sets *@who to whose it is.
 *
 * bpf_sched_shadow_<hook>() compares the answer of a shadow policy with what the
 * fair class is about to decide.
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
int bpf_sched_rest_##hook(const struct bpf_sched_call **who, struct rq *rq, \
			  const struct bpf_sched_order *orders, long ret, \
			  struct task_struct *task, struct task_struct *other, \
			  BPF_SCHED_LIST params);			\
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
static __always_inline long						\
bpf_sched_try_##hook(struct bpf_sched_whom whom, BPF_SCHED_LIST params)	\
{									\
	const struct bpf_sched_order *order = &whom.orders[BPF_SCHED_##hook]; \
	const struct bpf_sched_call *call = order->only;		\
									\
	/* Policies of other tasks, or of other hooks, cost no more than this. */ \
	if (unlikely(!call))						\
		return !order->nr && whom.skip != ~0ULL ? 0 : BPF_SCHED_UNUSUAL; \
									\
	if (unlikely(call->bit & whom.skip) ||				\
	    static_branch_unlikely(&bpf_stats_enabled_key) ||		\
	    unlikely(!--this_cpu_ptr(call->counters)->countdown))	\
		return BPF_SCHED_UNUSUAL;				\
									\
	return bpf_sched_call_##hook(call, BPF_SCHED_LIST args);	\
}									\
									\
static __always_inline int						\
bpf_sched_ask_##hook(const struct bpf_sched_call **who, struct rq *rq,	\
		     struct bpf_sched_whom whom, struct task_struct *task, \
		     struct task_struct *other, BPF_SCHED_LIST params)	\
{									\
	long ret = bpf_sched_try_##hook(whom, BPF_SCHED_LIST args);	\
									\
	if (likely(!ret))						\
		return 0;						\
									\
	return bpf_sched_rest_##hook(who, rq, whom.orders, ret, task, other, \
				     BPF_SCHED_LIST args);		\
}

#include <linux/bpf_sched_hooks.h>

#endif /* _KERNEL_SCHED_BPF_ASK_H */
