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
 * enum bpf_sched_flags - flags of struct bpf_sched_ops
 * @BPF_SCHED_F_SHADOW: ask and count, never obey: the way to try a policy on a
 *	system that matters. An answer of a shadow policy does not keep the
 *	policies after it from being asked.
 * @BPF_SCHED_F_DETACH_OVERRULED: detach the policy when it is overruled too
 *	often, see overruled_limit in Documentation/scheduler/sched-bpf.rst,
 *	instead of reporting it only.
 */
enum bpf_sched_flags {
	BPF_SCHED_F_SHADOW		= 1U << 0,
	BPF_SCHED_F_DETACH_OVERRULED	= 1U << 1,
};

#define BPF_SCHED_F_ALL	(BPF_SCHED_F_SHADOW | BPF_SCHED_F_DETACH_OVERRULED)

/**
 * struct bpf_sched_policy - one attachment of a policy
 * @id: number of the attachment, never zero, not reused before it wraps; the id
 *	that debugfs and bpftool show
 * @cgroup_id: id, as bpf_get_current_cgroup_id() gives it, of the cgroup that it
 *	       is attached to; zero if it is attached to none and so to all tasks
 *
 * Passed to every callback as "this". A table that is attached twice gets two
 * of them. Constant while the policy is attached, over a replacement too.
 */
struct bpf_sched_policy {
	u32 id;
	u64 cgroup_id;
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
 * @flags: of enum bpf_sched_flags. One that this kernel does not know is refused.
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
