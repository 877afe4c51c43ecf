/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SCHED_BPF_INTERNAL_H
#define _KERNEL_SCHED_BPF_INTERNAL_H

#include <linux/bpf_sched.h>
#include <linux/percpu.h>

struct bpf_link;
struct bpf_struct_ops;

/* Number of a hook: index of its slots and its counters. */
enum bpf_sched_hook {
#define BPF_SCHED_HOOK(hook, params, args) BPF_SCHED_##hook,
#include <linux/bpf_sched_hooks.h>
	BPF_SCHED_NR_HOOKS,
};

/* Attachments that may exist at once; one more gets -E2BIG. */
#define BPF_SCHED_MAX_POLICIES	64

/**
 * struct bpf_sched_counters - what one policy answered to one hook
 * @calls: questions asked
 * @negative: answers below zero
 * @zero: answers of zero, no opinion
 * @positive: answers above zero
 * @overruled: answers not obeyed because a bound forbids it
 */
struct bpf_sched_counters {
	u64 calls;
	u64 negative;
	u64 zero;
	u64 positive;
	u64 overruled;
};

/*
 * bpf_sched_ask_<hook>() asks the policies that answer this hook, in the order
 * in which they were attached, until one has an opinion. Returns that answer
 * and, in @counters, the counters of the policy that gave it; or zero.
 *
 * Context: preemption is off, so that a grace period ends every use of a policy.
 */
#define BPF_SCHED_HOOK(hook, params, args)				\
	int bpf_sched_ask_##hook(struct bpf_sched_counters __percpu **counters, \
				 BPF_SCHED_LIST params);
#include <linux/bpf_sched_hooks.h>

/* The table of stubs that answer zero: CFI types, and which members exist. */
extern struct bpf_sched_ops bpf_sched_stubs;

/* The type of the BPF programs that may call the kfuncs. */
extern struct bpf_struct_ops bpf_sched_struct_ops;

int bpf_sched_validate(const struct bpf_sched_ops *ops);
int bpf_sched_attach(const struct bpf_sched_ops *ops, const struct bpf_link *link);
int bpf_sched_replace(const struct bpf_sched_ops *new, const struct bpf_link *link);
void bpf_sched_detach(const struct bpf_link *link);

typedef void (*bpf_sched_show_fn)(void *arg, u32 id, const char *policy,
				  const char *hook,
				  const struct bpf_sched_counters *sum);
void bpf_sched_for_each(bpf_sched_show_fn fn, void *arg);

/* Bound of "keep running" in nanoseconds, and what it may be set to. */
extern u64 bpf_sched_max_hold_ns;
#define BPF_SCHED_MAX_HOLD_NS_MIN	(1 * NSEC_PER_MSEC)
#define BPF_SCHED_MAX_HOLD_NS_MAX	(1 * NSEC_PER_SEC)

#endif /* _KERNEL_SCHED_BPF_INTERNAL_H */
