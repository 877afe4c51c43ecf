/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_INTERNAL_H
#define _KERNEL_SCHED_BPF_INTERNAL_H

#include <linux/bitops.h>
#include <linux/bpf_sched.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/time64.h>

struct bpf_link;
struct bpf_prog;
struct bpf_struct_ops;
struct bpf_struct_ops_target;
struct cgroup;
struct rq;
struct seq_file;
struct user_namespace;

/* Number of a hook: index of its slots and its counters. */
enum bpf_sched_hook {
#define BPF_SCHED_HOOK(hook, params, args) BPF_SCHED_##hook,
#include <linux/bpf_sched_hooks.h>
	BPF_SCHED_NR_HOOKS,
};

extern const char * const bpf_sched_hook_names[BPF_SCHED_NR_HOOKS];

/*
 * The bounds that overrule an answer:
 * slice	a request longer than max_slice_ns or shorter than 0.1 ms
 * eligible	a wakee that is not eligible is to preempt
 * short	a request is to end that has just begun
 * custom	a task that has a slice of its own is to get a longer one
 * delegated	a request longer than without a policy, of one attached by token
 * cpu		a task is to be put where it may not run, or where nobody balances
 * balance	a task is to stay, but balancing has failed too often
 */
#define BPF_SCHED_BOUNDS						\
	BPF_SCHED_BOUND(slice)						\
	BPF_SCHED_BOUND(eligible)					\
	BPF_SCHED_BOUND(short)						\
	BPF_SCHED_BOUND(custom)						\
	BPF_SCHED_BOUND(delegated)					\
	BPF_SCHED_BOUND(cpu)						\
	BPF_SCHED_BOUND(balance)

enum bpf_sched_bound {
#define BPF_SCHED_BOUND(bound) BPF_SCHED_BOUND_##bound,
	BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
	BPF_SCHED_NR_BOUNDS,
};

extern const char * const bpf_sched_bound_names[BPF_SCHED_NR_BOUNDS];

/* Attachments that may exist at once; one more gets -E2BIG. */
#define BPF_SCHED_MAX_POLICIES	64

/*
 * How many of them may be attached by token: by the owners of one user namespace,
 * and in all. One more gets -EDQUOT.
 */
#define BPF_SCHED_MAX_PER_USERNS	4
#define BPF_SCHED_MAX_DELEGATED		32

/**
 * struct bpf_sched_counters - what one policy answered to one hook on one CPU
 * @negative: answers below zero
 * @positive: answers above zero; the rest of the calls had none
 * @overruled: answers not obeyed because a bound forbids it, per bound
 * @differ: answers of a shadow policy that differ from what the fair class decides
 * @timed: calls that were timed to see how much time the policy takes
 * @time_ns: time spent in all calls while kernel.bpf_stats_enabled was on
 * @max_ns: longest of them
 * @calls: calls until the last one that was timed, and those until the next
 * @countdown: how many of the latter are to come, which is all that a call counts
 * @interval: how many calls a timed one stands for
 * @sampled_ns: clock of the last that was timed
 */
struct bpf_sched_counters {
	u64 negative;
	u64 positive;
	u64 overruled[BPF_SCHED_NR_BOUNDS];
	u64 differ;
	u64 timed;
	u64 time_ns;
	u64 max_ns;
	u64 calls;
	u32 countdown;
	u32 interval;
	u64 sampled_ns;
};

/**
 * struct bpf_sched_call - how to call a policy for one hook
 * @prog: its program, NULL if the answer is a function of kernel code
 * @this: what the callback gets
 * @counters: of the policy for this hook
 * @bit: of the policy in masks of policies
 * @shadow: not to be obeyed
 * @delegated: attached by token
 * @version: of the policy's answers, see struct bpf_sched_attachment
 */
struct bpf_sched_call {
	const struct bpf_prog *prog;
	const struct bpf_sched_policy *this;
	struct bpf_sched_counters __percpu *counters;
	u64 bit;
	bool shadow;
	bool delegated;
	u32 version;
};

/**
 * struct bpf_sched_answers - the answers of a policy
 * @handle: what its callbacks get as "this", with its table
 * @calls: per hook
 */
struct bpf_sched_answers {
	struct bpf_sched_policy handle;
	struct bpf_sched_call calls[BPF_SCHED_NR_HOOKS];
};

/**
 * struct bpf_sched_attachment - an attached policy
 * @answers: per generation; a replacement changes the table
 * @link: the link that keeps it attached, or NULL
 * @registration: what keeps it attached if no link does, or NULL
 * @scope: the tasks that it is asked about
 * @node: in @scope, in the order of asking
 * @preorder: asked before the policies of deeper cgroups
 * @userns: the user namespace of the token by which it was attached, or NULL
 * @index: number among the attached
 * @version: of its answers, never used before
 * @counters: per hook, kept over a replacement
 * @attached_ns: boot time of its attachment
 */
struct bpf_sched_attachment {
	struct bpf_sched_answers answers[2];
	const struct bpf_link *link;
	const struct bpf_sched_registration *registration;
	struct bpf_sched_scope *scope;
	struct list_head node;
	bool preorder;
	const struct user_namespace *userns;
	u8 index;
	u32 version;
	struct bpf_sched_counters __percpu *counters;
	u64 attached_ns;
};

/* The id and the cgroup of @policy, which are the same in both generations. */
static inline const struct bpf_sched_policy *
bpf_sched_handle(const struct bpf_sched_attachment *policy)
{
	return &policy->answers[0].handle;
}

/**
 * struct bpf_sched_order - whom to ask, in this order
 * @only: the one to ask, NULL if there is not exactly one
 * @members: mask of the policies
 * @nr_preorder: how many were attached with BPF_F_PREORDER: they come first
 * @nr_own: @nr_preorder and the others of cgroups: system-wide ones come last
 * @nr: how many in all
 * @calls: how to ask each
 */
struct bpf_sched_order {
	const struct bpf_sched_call *only;
	u64 members;
	u16 nr_preorder;
	u16 nr_own;
	u16 nr;
	const struct bpf_sched_call *calls[BPF_SCHED_MAX_POLICIES];
};

/**
 * struct bpf_sched_scope - a set of tasks that policies are attached to
 * @cgrp: the cgroup whose subtree it is, NULL for the whole system
 * @policies: those attached here, in the order of asking
 * @node: in the list of all scopes
 * @order: per generation and hook: the policies attached here, to its ancestors and
 *	   to the whole system
 */
struct bpf_sched_scope {
	struct cgroup *cgrp;
	struct list_head policies;
	struct list_head node;
	struct bpf_sched_order order[2][BPF_SCHED_NR_HOOKS];
};

/* scope.c */
extern struct bpf_sched_scope bpf_sched_system;
struct bpf_sched_scope *bpf_sched_scope_get(struct cgroup *cgrp, int published);
void bpf_sched_scope_retire(struct bpf_sched_scope *scope);
void bpf_sched_scope_free(struct bpf_sched_scope *scope);
void bpf_sched_scopes_order(int next);

/* ask.c */

/* The table of stubs that answer zero: CFI types, and which members exist. */
extern struct bpf_sched_ops bpf_sched_stubs;

/* The generation that questions see. */
extern int bpf_sched_published;

/* The policies that were attached by token. */
extern u64 bpf_sched_delegated;

/* The rq that the question of this CPU is about, for kfuncs. */
DECLARE_PER_CPU(struct rq *, bpf_sched_rq);

void bpf_sched_overrule(const struct bpf_sched_call *call, enum bpf_sched_hook hook,
			enum bpf_sched_bound bound, int answer);

/* policy.c */

/* Looks for what is to be detached. */
extern struct irq_work bpf_sched_reap;

int bpf_sched_validate(const struct bpf_sched_ops *ops);
int bpf_sched_attach(const struct bpf_sched_ops *ops, const struct bpf_prog * const *progs,
		     const struct bpf_link *link,
		     const struct bpf_sched_registration *reg,
		     const struct bpf_struct_ops_target *target,
		     const struct user_namespace *userns);
int bpf_sched_replace(const struct bpf_sched_ops *new, const struct bpf_prog * const *progs,
		      const void *holder, const struct user_namespace *userns);
bool bpf_sched_detach(const void *holder);
void bpf_sched_detach_owner(const struct module *owner);
u64 bpf_sched_cgroup_id(const struct bpf_link *link);
void bpf_sched_for_each(void (*fn)(void *arg, struct bpf_sched_attachment *policy,
				   const struct bpf_sched_ops *ops),
			void *arg);
bool bpf_sched_has_answer(const struct bpf_sched_ops *ops, enum bpf_sched_hook hook);

/* struct_ops.c */

/* The type of the BPF programs that may call the kfuncs. */
extern struct bpf_struct_ops bpf_sched_struct_ops;

/* stats.c */
void bpf_sched_show_fdinfo(const struct bpf_link *link, struct seq_file *m);

/* guard.c */

/* Policies that are attached and not asked, as a mask: all, or who took too much time. */
extern u64 bpf_sched_silent;

void bpf_sched_turn_off(void);
void bpf_sched_turn_on(void);
bool bpf_sched_is_on(void);
void bpf_sched_timed(const struct bpf_sched_call *call, struct bpf_sched_counters *c,
		     u64 start, u64 end);
bool bpf_sched_is_slow(const struct bpf_sched_attachment *policy);
void bpf_sched_acquit(const struct bpf_sched_attachment *policy);

/*
 * A knob: what it is set to, and what it may be set to. Changes take effect with
 * the next question.
 */
struct bpf_sched_knob {
	u64 val, min, max;
};

/* The longest request that may be granted, in nanoseconds. */
extern struct bpf_sched_knob bpf_sched_max_slice_ns;
/* How many percent of a CPU's time all policies may take together. */
extern struct bpf_sched_knob bpf_sched_max_share;

#endif /* _KERNEL_SCHED_BPF_INTERNAL_H */
