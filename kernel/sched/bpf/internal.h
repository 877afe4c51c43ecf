/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_INTERNAL_H
#define _KERNEL_SCHED_BPF_INTERNAL_H

#include <linux/bitops.h>
#include <linux/bpf_sched.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/time64.h>

struct bpf_link;
struct bpf_struct_ops;
struct bpf_struct_ops_target;
struct cgroup;

/* Number of a hook: index of its slots and its counters. */
enum bpf_sched_hook {
#define BPF_SCHED_HOOK(hook, params, args) BPF_SCHED_##hook,
#include <linux/bpf_sched_hooks.h>
	BPF_SCHED_NR_HOOKS,
};

extern const char * const bpf_sched_hook_names[BPF_SCHED_NR_HOOKS];

/*
 * The bounds that overrule an answer. BPF_SCHED_BOUND(bound, what a policy that
 * meets it too often is told).
 */
#define BPF_SCHED_BOUNDS						\
	BPF_SCHED_BOUND(hold, "held a CPU for max_hold_ns")		\
	BPF_SCHED_BOUND(eligible, "preferred a wakee that is not eligible") \
	BPF_SCHED_BOUND(turn, "ended a turn that had just begun")

enum bpf_sched_bound {
#define BPF_SCHED_BOUND(bound, text) BPF_SCHED_BOUND_##bound,
	BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
	BPF_SCHED_NR_BOUNDS,
};

/* Attachments that may exist at once; one more gets -E2BIG. */
#define BPF_SCHED_MAX_POLICIES	64

/**
 * struct bpf_sched_counters - what one policy answered to one hook on one CPU
 * @calls: questions asked
 * @negative: answers below zero
 * @zero: answers of zero, no opinion
 * @positive: answers above zero
 * @overruled: answers not obeyed because a bound forbids it, per bound
 * @differ: answers of a shadow policy that would have changed the outcome
 * @slow: calls that took longer than a policy may, see call_limit(), among those
 *	  that are timed for this purpose, one of BPF_SCHED_TIMED_CALLS
 * @time_ns: time spent in all calls while kernel.bpf_stats_enabled was on
 * @max_ns: longest of them
 * @recent: what guard.c judges the policy by
 * @recent.timed: calls timed
 * @recent.slow: those that took longer than a policy may
 * @recent.overruled: answers overruled
 * @recent.opinions: what @negative and @positive were in sum when it began
 */
struct bpf_sched_counters {
	u64 calls;
	u64 negative;
	u64 zero;
	u64 positive;
	u64 overruled[BPF_SCHED_NR_BOUNDS];
	u64 differ;
	u64 slow;
	u64 time_ns;
	u64 max_ns;
	struct {
		u32 timed;
		u32 slow;
		u64 overruled;
		u64 opinions;
	} recent;
};

/* The first so many calls, and then one of so many. */
#define BPF_SCHED_TIMED_CALLS	64

/* A question may take so many times max_call_ns, however many are asked. */
#define BPF_SCHED_FULL_CALLS	4

/**
 * struct bpf_sched_answers - where the answers of a policy are
 * @handle: what its callbacks get as "this", with its table
 * @direct: per hook, the static call of the hook leads to it
 */
struct bpf_sched_answers {
	struct bpf_sched_policy handle;
	bool direct[BPF_SCHED_NR_HOOKS];
};

/* Bits of bpf_sched_attachment::due. What is found is found once. */
enum {
	BPF_SCHED_OVERRULED,	/* found to be overruled too often */
	BPF_SCHED_DUE_REPORT,	/* to be reported for it */
	BPF_SCHED_SLOW,		/* found to be too slow */
	BPF_SCHED_DUE_EJECT,	/* to be detached for it */
	BPF_SCHED_DETACH,	/* to be detached, and reported */
};

/**
 * struct bpf_sched_attachment - an attached policy
 * @answers: per generation; a replacement changes the table
 * @link: the link that keeps it attached, or NULL
 * @registration: what keeps it attached if no link does, or NULL
 * @scope: the tasks that it is asked about
 * @node: in @scope, in the order of asking
 * @preorder: asked before the policies of deeper cgroups
 * @index: number among the attached
 * @counters: per hook, kept over a replacement
 * @attached_ns: boot time of its attachment
 * @due: what is to be done about it, see guard.c
 * @overruled_hook: where it was overruled too often
 * @overruled_bound: by what
 * @slow_hook: where it was too slow
 * @slow_ns: how long a call might have taken there
 */
struct bpf_sched_attachment {
	struct bpf_sched_answers answers[2];
	const struct bpf_link *link;
	const struct bpf_sched_registration *registration;
	struct bpf_sched_scope *scope;
	struct list_head node;
	bool preorder;
	u8 index;
	struct bpf_sched_counters __percpu *counters;
	u64 attached_ns;
	unsigned long due;
	enum bpf_sched_hook overruled_hook;
	enum bpf_sched_bound overruled_bound;
	enum bpf_sched_hook slow_hook;
	u64 slow_ns;
};

/* The id and the cgroup of @policy, which are the same in both generations. */
static inline const struct bpf_sched_policy *
bpf_sched_handle(const struct bpf_sched_attachment *policy)
{
	return &policy->answers[0].handle;
}

/*
 * Found to be too slow: not asked any more from that moment, as the CPUs may be too
 * busy with it to run what detaches it.
 */
static inline bool bpf_sched_is_slow(const struct bpf_sched_attachment *policy)
{
	return test_bit(BPF_SCHED_SLOW, &policy->due);
}

/**
 * struct bpf_sched_order - whom to ask, in this order
 * @nr_preorder: how many were attached with BPF_F_PREORDER
 * @nr: how many in all
 * @index: indexes of the policies, those of BPF_F_PREORDER first
 */
struct bpf_sched_order {
	u8 nr_preorder;
	u8 nr;
	u8 index[BPF_SCHED_MAX_POLICIES];
};

/**
 * struct bpf_sched_scope - a set of tasks that policies are attached to
 * @cgrp: the cgroup whose subtree it is, NULL for the whole system
 * @policies: those attached here, in the order of asking
 * @node: in the list of all scopes
 * @order: per generation and hook: the policies attached here and, for a cgroup,
 *	   to its ancestors; system-wide ones are in the order of the system only
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
const struct bpf_sched_scope *bpf_sched_task_scope(struct task_struct *p);

/**
 * struct bpf_sched_answer - what came of a question
 * @policy: who gave the answer that counts, NULL if nobody has an opinion
 * @shadow: shadow policies, as a mask of their indexes, that answered below
 *	    [0] or above [1] zero
 */
struct bpf_sched_answer {
	struct bpf_sched_attachment *policy;
	u64 shadow[2];
};

/*
 * bpf_sched_ask_<hook>() asks the policies that answer this hook and whose scope
 * contains @about or @other, which may be NULL, until one has an opinion. Returns
 * that answer, or zero, and sets *@answer.
 *
 * Context: preemption is off, so that a grace period ends every use of a policy.
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
	int bpf_sched_ask_##hook(struct bpf_sched_answer *answer,	\
				 struct task_struct *about,		\
				 struct task_struct *other,		\
				 BPF_SCHED_LIST params);
#include <linux/bpf_sched_hooks.h>

/* policy.c */

/* The table of stubs that answer zero: CFI types, and which members exist. */
extern struct bpf_sched_ops bpf_sched_stubs;

struct bpf_sched_attachment *bpf_sched_attachment(unsigned int index);
int bpf_sched_validate(const struct bpf_sched_ops *ops);
int bpf_sched_attach(const struct bpf_sched_ops *ops, const struct bpf_link *link,
		     const struct bpf_sched_registration *reg,
		     const struct bpf_struct_ops_target *target);
int bpf_sched_replace(const struct bpf_sched_ops *new, const void *holder);
bool bpf_sched_detach(const void *holder);
void bpf_sched_detach_id(u32 id);
void bpf_sched_detach_owner(const struct module *owner);
u64 bpf_sched_cgroup_id(const struct bpf_link *link);
void bpf_sched_for_each(void (*fn)(void *arg, struct bpf_sched_attachment *policy,
				   const struct bpf_sched_ops *ops),
			void *arg);
bool bpf_sched_has_answer(const struct bpf_sched_ops *ops, enum bpf_sched_hook hook);
struct bpf_sched_counters bpf_sched_sum(const struct bpf_sched_attachment *policy,
					enum bpf_sched_hook hook);

/* struct_ops.c */

/* The type of the BPF programs that may call the kfuncs. */
extern struct bpf_struct_ops bpf_sched_struct_ops;

/**
 * struct bpf_sched_bpf_ids - BPF objects of a policy
 * @link: of its link
 * @map: of its struct_ops map
 * @prog: per hook, of its program, or zero
 */
struct bpf_sched_bpf_ids {
	u32 link;
	u32 map;
	u32 prog[BPF_SCHED_NR_HOOKS];
};

struct bpf_sched_bpf_ids bpf_sched_bpf_ids(const struct bpf_sched_attachment *policy,
					   const struct bpf_sched_ops *ops);

/* guard.c */
extern bool bpf_sched_off;
void bpf_sched_overruled(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
			 enum bpf_sched_bound bound, int answer);
void bpf_sched_judge(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
		     enum bpf_sched_bound bound);
void bpf_sched_acquit(struct bpf_sched_attachment *policy);
void bpf_sched_timed(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
		     u64 ns, const struct bpf_sched_order *asked);
void bpf_sched_reap(void);

/*
 * A knob: what it is set to, and what it may be set to. Changes take effect with
 * the next question.
 */
struct bpf_sched_knob {
	const char *name;
	u64 val, min, max;
};

/* How long "keep running" may hold a CPU, in nanoseconds. */
extern struct bpf_sched_knob bpf_sched_max_hold_ns;
/*
 * How long a call may take without the policy being slow, in nanoseconds. If more
 * than BPF_SCHED_FULL_CALLS policies are asked, they share the time of so many calls.
 */
extern struct bpf_sched_knob bpf_sched_max_call_ns;
/* After how many overruled answers on one CPU a policy is looked at. */
extern struct bpf_sched_knob bpf_sched_overruled_limit;

#endif /* _KERNEL_SCHED_BPF_INTERNAL_H */
