/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_INTERNAL_H
#define _KERNEL_SCHED_BPF_INTERNAL_H

#include <linux/args.h>
#include <linux/bpf-cgroup.h>
#include <linux/bpf_sched.h>
#include <linux/cgroup.h>
#include <linux/cleanup.h>
#include <linux/filter.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/stddef.h>

struct rq;
struct seq_file;

/* A hook is known by the place of its member in struct bpf_sched_ops. */
#define BPF_SCHED_HOOK(op)	(offsetof(struct bpf_sched_ops, op) / sizeof(void *))
#define BPF_SCHED_NR_HOOKS	BPF_SCHED_HOOK(flags)

/**
 * enum bpf_sched_reason - why a result is rejected
 * @BPF_SCHED_KTHREAD: a kernel thread would wait
 * @BPF_SCHED_ELIGIBLE: the wakee is not eligible
 * @BPF_SCHED_SLICE: the slice is out of range; it is clamped
 * @BPF_SCHED_SHORT: the slice has just begun
 * @BPF_SCHED_CUSTOM: the slice is the task's own
 * @BPF_SCHED_CPU: the CPU is not allowed, or its core runs another cookie
 * @BPF_SCHED_BALANCE: balancing has failed too often or for too long
 * @BPF_SCHED_NR_REASONS: their number
 */
enum bpf_sched_reason {
	BPF_SCHED_KTHREAD,
	BPF_SCHED_ELIGIBLE,
	BPF_SCHED_SLICE,
	BPF_SCHED_SHORT,
	BPF_SCHED_CUSTOM,
	BPF_SCHED_CPU,
	BPF_SCHED_BALANCE,
	BPF_SCHED_NR_REASONS,
};

/**
 * struct bpf_sched_counters - what a hook of a policy returned on one CPU
 * @prog: its program if that can be run without the trampoline, else NULL
 * @calls: how often it was called
 * @negative: results below 0
 * @positive: results above 0
 * @rejected: results that were rejected or clamped, per reason
 * @differ: results in shadow mode that would have been applied
 * @timed_jiffy: when it was last timed
 * @timed_calls: @calls then
 * @timed_ns: the time that it took
 */
struct bpf_sched_counters {
	const struct bpf_prog *prog;
	u64 calls;
	u64 negative;
	u64 positive;
	u64 rejected[BPF_SCHED_NR_REASONS];
	u64 differ;
	unsigned long timed_jiffy;
	u64 timed_calls;
	u64 timed_ns;
};

/**
 * struct bpf_sched_budget - the time that a policy took on one CPU
 * @taken: nanoseconds beyond what it may take
 * @since: local_clock() of the last account
 */
struct bpf_sched_budget {
	u64 taken;
	u64 since;
};

struct bpf_sched_stats {
	struct bpf_sched_counters hooks[BPF_SCHED_NR_HOOKS];
	struct bpf_sched_budget budget;
};

/* guard.c */

/* The kill switch: false if no hook is to be called. */
extern bool bpf_sched_on;

void bpf_sched_timed(const struct bpf_sched_ops *ops, struct bpf_sched_counters *c, u64 start);

/* The shortest slice, as of sched_setattr(). */
#define BPF_SCHED_MIN_SLICE_NS	(100 * NSEC_PER_USEC)

/* kfuncs.c */

/* The rq whose lock is held for the hook that runs on this CPU, or NULL. */
DECLARE_PER_CPU(struct rq *, bpf_sched_rq);

/* stats.c */
int bpf_sched_alloc_stats(struct bpf_sched_ops *ops);
void bpf_sched_free_stats(struct bpf_sched_ops *ops);
bool bpf_sched_reject(const struct bpf_sched_ops *ops, unsigned int hook,
		      enum bpf_sched_reason reason, int ret);
void bpf_sched_show(const struct bpf_sched_ops *ops, struct seq_file *seq);

bool bpf_sched_has_hook(const struct bpf_sched_ops *ops);

/* module.c */
extern struct list_head bpf_sched_modules;

/* struct_ops.c */
extern struct bpf_struct_ops bpf_bpf_sched_ops;

/* slice.c */

/* The longest slice that a policy can set. */
extern unsigned int bpf_sched_max_slice_ns;

void bpf_sched_slice_set(struct rq *rq, u64 slice);

/* Convert nanoseconds of service to virtual time, see calc_delta_fair(). */
static inline u64 bpf_sched_to_virtual(u64 ns, unsigned long weight)
{
	return mul_u64_u64_div_u64(ns, NICE_0_LOAD, weight);
}

/* tick.c */
void bpf_sched_kthread_woken(struct rq *rq);

static __always_inline struct bpf_sched_counters *
bpf_sched_counters(const struct bpf_sched_ops *ops, unsigned int hook)
{
	return &this_cpu_ptr(ops->stats)->hooks[hook];
}

/* A hook is about to be called. Return the time if the call is to be timed, else 0. */
static __always_inline u64 bpf_sched_begin(struct bpf_sched_counters *c)
{
	c->calls++;

	return likely(c->timed_jiffy == jiffies) ? 0 : local_clock();
}

/* Account the call of a hook that began at @start and returned @ret. */
static __always_inline void bpf_sched_end(const struct bpf_sched_ops *ops,
					  struct bpf_sched_counters *c, u64 start, int ret)
{
	if (unlikely(start))
		bpf_sched_timed(ops, c, start);
	c->negative += ret < 0;
	c->positive += ret > 0;
}

/*
 * Return true if a result that passed the checks is to be applied. In shadow mode it
 * is only counted, if it @differs from the default, and the next policy is called.
 */
static inline bool bpf_sched_apply(const struct bpf_sched_ops *ops, unsigned int hook, bool differs)
{
	if (likely(!(ops->flags & BPF_SCHED_F_SHADOW)))
		return true;

	bpf_sched_counters(ops, hook)->differ += differs;

	return false;
}

/* The arguments of a hook as the context of its program. */
#define BPF_SCHED_CTX3(a, b, c)		(u64[]){ (u64)(a), (u64)(b), (u64)(c) }
#define BPF_SCHED_CTX4(a, b, c, d)	(u64[]){ (u64)(a), (u64)(b), (u64)(c), (u64)(d) }
#define BPF_SCHED_CTX5(a, b, c, d, e)						\
	(u64[]){ (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e) }
#define BPF_SCHED_CTX(...)	CONCATENATE(BPF_SCHED_CTX, COUNT_ARGS(__VA_ARGS__))(__VA_ARGS__)

/*
 * Call the hook @op of @ops, count its result and time it now and then. Return the
 * result, or 0 if the member is NULL.
 */
#define bpf_sched_call_op(ops, op, ...)						\
({										\
	int __ret = 0;								\
										\
	if ((ops)->op) {							\
		struct bpf_sched_counters *__c =				\
			bpf_sched_counters(ops, BPF_SCHED_HOOK(op));		\
		u64 __start = bpf_sched_begin(__c);				\
										\
		__ret = __c->prog ?						\
			bpf_prog_run(__c->prog, BPF_SCHED_CTX(__VA_ARGS__)) :	\
			(ops)->op(__VA_ARGS__);					\
		bpf_sched_end(ops, __c, __start, __ret);			\
	}									\
	__ret;									\
})

/*
 * Calls a hook of @ops, which are attached to @cgrp, with the arguments in @arg, and
 * stores the result there. Returns true unless the next ops have to be called.
 */
typedef bool (*bpf_sched_fn)(const struct bpf_sched_ops *ops, struct cgroup *cgrp, void *arg);

/* Return true if any policy may apply to @p. Most tasks have none: this is cheap. */
static __always_inline bool bpf_sched_applies(struct task_struct *p)
{
	const struct bpf_prog_array *array;

	array = rcu_dereference_sched(task_dfl_cgroup(p)->bpf.effective[CGROUP_SCHED_OPS]);

	return READ_ONCE(array->items[0].kdata) || !list_empty(&bpf_sched_modules);
}

/* Call @fn for the ops that apply to tasks in @cgrp, but not for those of @called. */
static __always_inline bool
bpf_sched_call_cgroup(struct cgroup *cgrp, struct cgroup *called, bpf_sched_fn fn, void *arg)
{
	const struct bpf_prog_array_item *item;
	const struct bpf_sched_ops *ops;

	bpf_cgroup_struct_ops_foreach(ops, item, cgrp, CGROUP_SCHED_OPS) {
		if (called && cgroup_is_descendant(called, item->cgroup))
			continue;
		if (unlikely(READ_ONCE(ops->disabled)))
			continue;
		if (fn(ops, item->cgroup, arg))
			return true;
	}

	return false;
}

/* Call @fn for the policies that apply to @p, then for those that apply to @other only. */
static __always_inline void
bpf_sched_call_all(struct task_struct *p, struct task_struct *other, bpf_sched_fn fn, void *arg)
{
	struct cgroup *cgrp, *other_cgrp;
	struct bpf_sched_module *mod;

	cgrp = task_dfl_cgroup(p);
	other_cgrp = other ? task_dfl_cgroup(other) : cgrp;
	if (bpf_sched_call_cgroup(cgrp, NULL, fn, arg))
		return;
	if (other_cgrp != cgrp && bpf_sched_call_cgroup(other_cgrp, cgrp, fn, arg))
		return;

	list_for_each_entry_rcu(mod, &bpf_sched_modules, node) {
		if (unlikely(READ_ONCE(mod->ops.disabled)))
			continue;
		if (!cgroup_is_descendant(cgrp, mod->cgrp) &&
		    !cgroup_is_descendant(other_cgrp, mod->cgrp))
			continue;
		if (fn(&mod->ops, mod->cgrp, arg))
			return;
	}
}

/**
 * bpf_sched_call() - call a hook of the policies that apply to a task
 * @rq: the rq whose lock is held, or NULL
 * @p: the task
 * @other: the other task of a wakeup, or NULL; policies that apply to both are
 *	   called once
 * @fn: calls the hook
 * @arg: its argument
 *
 * Context: interrupts are off.
 */
static __always_inline void
bpf_sched_call(struct rq *rq, struct task_struct *p, struct task_struct *other,
	       bpf_sched_fn fn, void *arg)
{
	if (unlikely(!READ_ONCE(bpf_sched_on)))
		return;

	guard(rcu)();

	this_cpu_write(bpf_sched_rq, rq);
	bpf_sched_call_all(p, other, fn, arg);
	this_cpu_write(bpf_sched_rq, NULL);
}

#endif /* _KERNEL_SCHED_BPF_INTERNAL_H */
