/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BPF_SCHED_H
#define _LINUX_BPF_SCHED_H

/*
 * Policies for the fair scheduling class: the table that a provider fills.
 * See Documentation/scheduler/sched-bpf.rst.
 */

#include <linux/types.h>

struct sched_entity;
struct task_struct;

/* Bytes of a policy's name, its terminating zero included. */
#define BPF_SCHED_NAME_LEN	16

/**
 * struct bpf_sched_policy - one attachment of a policy
 * @id: number of the attachment, never zero, not reused before it wraps
 *
 * Passed to every callback as "this". A table that is attached twice gets two
 * of them.
 */
struct bpf_sched_policy {
	u32 id;
};

/* A parenthesised list of bpf_sched_hooks.h without its parentheses. */
#define BPF_SCHED_LIST(...)	__VA_ARGS__

/* The prototype of a callback is that of its hook with "this" appended. */
#define BPF_SCHED_PROTO(params)	\
	(BPF_SCHED_LIST params, const struct bpf_sched_policy *this)

/*
 * struct bpf_sched_ops - a policy's answers
 *
 * One member per entry of bpf_sched_hooks.h, where each is documented, and:
 *
 * @flags: BPF_SCHED_F_*; none is defined yet, must be zero.
 * @name: shown with the counters, for example in debugfs. Not empty, of the
 *	  characters of a BPF object name, need not be unique.
 */
struct bpf_sched_ops {
#define BPF_SCHED_HOOK(hook, params, args) int (*hook)BPF_SCHED_PROTO(params);
#include <linux/bpf_sched_hooks.h>
	u64 flags;
	char name[BPF_SCHED_NAME_LEN];
};

#endif /* _LINUX_BPF_SCHED_H */
