/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BPF_SCHED_H
#define _LINUX_BPF_SCHED_H

/*
 * Policies for the fair scheduling class: the table that a provider fills.
 * See Documentation/scheduler/sched-bpf.rst.
 */

#include <linux/types.h>

struct bpf_sched_ops;
struct cgroup;
struct module;
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
 * enum bpf_sched_verdict - names of answers, of which only the sign counts
 * @BPF_SCHED_NO_OPINION: do what the fair class does without a policy
 * @BPF_SCHED_NO_PREEMPT: to a wakeup: the wakee does not preempt now
 * @BPF_SCHED_PREEMPT: to a wakeup: the wakee preempts
 * @BPF_SCHED_KEEP: to cfs_check_preempt_tick(): the turn goes on
 * @BPF_SCHED_RESCHED: to cfs_check_preempt_tick(): the turn ends
 */
enum bpf_sched_verdict {
	BPF_SCHED_NO_OPINION	= 0,
	BPF_SCHED_NO_PREEMPT	= -1,
	BPF_SCHED_PREEMPT	= 1,
	BPF_SCHED_KEEP		= -1,
	BPF_SCHED_RESCHED	= 1,
};

/**
 * struct bpf_sched_policy - one attachment of a policy
 * @id: number of the attachment, never zero, not reused before it wraps; the id
 *	that debugfs and bpftool show
 * @cgroup_id: id, as bpf_get_current_cgroup_id() gives it, of the cgroup that it
 *	       is attached to; zero if it is attached to none and so to all tasks
 * @ops: the table that the callback belongs to
 *
 * Passed to every callback as "this". A table that is attached twice gets two
 * of them. @id and @cgroup_id are constant while the policy is attached, over a
 * replacement too, which changes @ops.
 */
struct bpf_sched_policy {
	u32 id;
	u64 cgroup_id;
	const struct bpf_sched_ops *ops;
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

/**
 * struct bpf_sched_registration - how kernel code keeps a policy attached
 * @owner: its module, NULL for built-in code; shown with the counters
 * @cgrp: the cgroup of the tasks that it is asked about; NULL for all tasks. The
 *	  caller has a reference at the time of the registration.
 * @flags: its place among the policies attached there: last, or with
 *	   BPF_F_BEFORE first; BPF_F_PREORDER has the meaning that it has for a link
 *
 * What is attached so is bounded, counted, shown and switched off as a policy of a
 * BPF program is, and detached when its cgroup is removed, when it is too slow or, if
 * its flags say so, overruled too often: the registration stays, to be ended by
 * bpf_sched_unregister(). How long a call takes, nobody but its author limits.
 */
struct bpf_sched_registration {
	struct module *owner;
	struct cgroup *cgrp;
	u32 flags;
};

int bpf_sched_register(struct bpf_sched_registration *reg, const struct bpf_sched_ops *ops);
int bpf_sched_update(struct bpf_sched_registration *reg, const struct bpf_sched_ops *new);
void bpf_sched_unregister(struct bpf_sched_registration *reg);

/* What a policy may ask of an entity; see kernel/sched/bpf/ for each. */
struct task_struct *bpf_sched_entity_task(struct sched_entity *se);
s64 bpf_sched_entity_lag(struct sched_entity *se);
long bpf_sched_entity_belongs_to_cgrp(struct sched_entity *se, u64 cgrpid);

#endif /* _LINUX_BPF_SCHED_H */
