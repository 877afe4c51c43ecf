/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_ASK_H
#define _KERNEL_SCHED_BPF_ASK_H

/*
 * Asks policies. This is what runs at a decision point of the fair class, inlined
 * into wakeup.c, request.c and placement.c; whom to ask, in which order and how to call them is
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
 * @a: the orders, per hook, for the task that a question is about
 * @b: those for the other task of a wakeup; often the same, else @a's
 * @usual: @a and @b are the same, and nobody in them is not to be asked
 */
struct bpf_sched_whom {
	const struct bpf_sched_order *a;
	const struct bpf_sched_order *b;
	bool usual;
};

static __always_inline const struct bpf_sched_order *bpf_sched_orders(struct task_struct *p,
								      int gen)
{
	return rcu_dereference_sched(task_dfl_cgroup(p)->bpf_sched)->order[gen];
}

/*
 * Is the core of @rq given to the tasks of one cookie? By core scheduling, who runs is
 * decided for all CPUs of a core then, by what tasks owe on their own CPU; and nothing is
 * paid on one that is forced to be idle, so that what a policy lets one task have is taken
 * from those of other cookies for good. The lock of @rq is that of the core.
 */
static __always_inline bool bpf_sched_core_is_taken(struct rq *rq)
{
#ifdef CONFIG_SCHED_CORE
	return sched_core_enabled(rq) && rq->core->core_cookie;
#else
	return false;
#endif
}

/*
 * Begin to ask about @p and, for a wakeup, @other.
 *
 * Context: interrupts are off, so that cgroups, scopes and policies stay. The lock of
 * @rq is held; NULL if a question is about no rq.
 */
static __always_inline struct bpf_sched_whom
bpf_sched_whom(struct rq *rq, struct task_struct *p, struct task_struct *other)
{
	/* Pairs with the release in publish(). */
	int gen = smp_load_acquire(&bpf_sched_published);
	struct bpf_sched_whom whom;

	whom.a = bpf_sched_orders(p, gen);
	whom.b = other == p ? whom.a : bpf_sched_orders(other, gen);
	whom.usual = whom.a == whom.b && !READ_ONCE(bpf_sched_silent);
	this_cpu_write(bpf_sched_rq, rq);

	return whom;
}

/*
 * Run a program without the trampoline that its slot of the table leads to, as
 * tracepoints do: it takes several times as long as all else here, to do what is done
 * here already. A grace period waits for CPUs whose interrupts are off; what checks
 * that a reader is one has to be told. @stats: kernel.bpf_stats_enabled may be on.
 */
static __always_inline int bpf_sched_run(const struct bpf_prog *prog, const void *args,
					 bool stats)
{
	int ret;

	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_lock();
	if (stats)
		ret = bpf_prog_run(prog, args);
	else
		ret = bpf_dispatcher_nop_func(args, prog->insnsi, prog->bpf_func);
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_unlock();

	return ret;
}

/* The parameters of a hook as members of a struct, and those as arguments. */
#define BPF_SCHED_MEMBERS_2(a, b)	a; b;
#define BPF_SCHED_MEMBERS_3(a, b, c)	a; b; c;
#define BPF_SCHED_MEMBERS_4(a, b, c, d)	a; b; c; d;
#define BPF_SCHED_MEMBERS(...)						\
	CONCATENATE(BPF_SCHED_MEMBERS_, COUNT_ARGS(__VA_ARGS__))(__VA_ARGS__)
#define BPF_SCHED_OF_2(s, a, b)		(s)->a, (s)->b
#define BPF_SCHED_OF_3(s, a, b, c)	(s)->a, (s)->b, (s)->c
#define BPF_SCHED_OF_4(s, a, b, c, d)	(s)->a, (s)->b, (s)->c, (s)->d
#define BPF_SCHED_OF(s, ...)						\
	CONCATENATE(BPF_SCHED_OF_, COUNT_ARGS(__VA_ARGS__))(s, __VA_ARGS__)

/*
 * For each hook:
 *
 * struct bpf_sched_ask_<hook> has the arguments, and whose the answer is. Who asks
 * has it on the stack, set by hand, and reads back from it what is needed after the call:
 * nothing is kept in registers, which would have to be saved, for an opinion that is rare.
 *
 * bpf_sched_ask_<hook>() asks the policies that answer it until one has an opinion.
 * Returns that answer, or zero.
 *
 * bpf_sched_ask_all_<hook>() does so in all cases, bpf_sched_opinion_<hook>() with an
 * answer that is not zero: counts it, and makes zero of it if it is not to be obeyed.
 *
 * bpf_sched_shadow_<hook>() compares the answer of a shadow policy with what the
 * fair class is about to decide.
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
struct bpf_sched_ask_##hook {						\
	/* What a program gets: an array of words, where programs can be policies. */ \
	struct {							\
		BPF_SCHED_MEMBERS params				\
		const struct bpf_sched_policy *this;			\
	} arg;								\
	const struct bpf_sched_call *call;				\
};									\
static_assert(!IS_ENABLED(CONFIG_64BIT) ||				\
	      sizeof_field(struct bpf_sched_ask_##hook, arg) ==		\
	      (1 + COUNT_ARGS args) * sizeof(u64));			\
									\
int bpf_sched_ask_all_##hook(struct bpf_sched_ask_##hook *q,		\
			     const struct bpf_sched_order *a,		\
			     const struct bpf_sched_order *b);		\
int bpf_sched_opinion_##hook(struct bpf_sched_ask_##hook *q, int ret);	\
void bpf_sched_shadow_##hook(const struct bpf_sched_ask_##hook *q,	\
			     struct rq *rq, int ret);			\
									\
static __always_inline int						\
bpf_sched_call_##hook(struct bpf_sched_ask_##hook *q,			\
		      const struct bpf_sched_call *call, bool stats)	\
{									\
	const struct bpf_prog *prog = call->prog;			\
									\
	q->call = call;							\
	q->arg.this = call->this;					\
	if (prog)							\
		return bpf_sched_run(prog, &q->arg, stats);		\
									\
	return call->this->ops->hook(BPF_SCHED_OF(&q->arg, BPF_SCHED_LIST args), \
				     call->this);			\
}									\
									\
static __always_inline int						\
bpf_sched_ask_##hook(struct bpf_sched_ask_##hook *q,			\
		     struct bpf_sched_whom whom)			\
{									\
	const struct bpf_sched_order *order = &whom.a[BPF_SCHED_##hook]; \
	const struct bpf_sched_call *call = order->only;		\
	int ret;							\
									\
	if (unlikely(!whom.usual))					\
		return bpf_sched_ask_all_##hook(q, order, &whom.b[BPF_SCHED_##hook]); \
									\
	/* Policies of other tasks, or of other hooks, cost no more than this. */ \
	if (!call && !order->nr)					\
		return 0;						\
									\
	if (unlikely(!call) || static_branch_unlikely(&bpf_stats_enabled_key) || \
	    unlikely(!--this_cpu_ptr(call->counters)->countdown))	\
		return bpf_sched_ask_all_##hook(q, order, order);	\
									\
	ret = bpf_sched_call_##hook(q, call, false);			\
	if (unlikely(ret))						\
		return bpf_sched_opinion_##hook(q, ret);		\
									\
	return 0;							\
}

#include <linux/bpf_sched_hooks.h>

#endif /* _KERNEL_SCHED_BPF_ASK_H */
