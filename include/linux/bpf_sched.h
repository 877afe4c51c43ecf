/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BPF_SCHED_H
#define _LINUX_BPF_SCHED_H

/*
 * Policies for the fair scheduling class: the table that a provider fills.
 * See Documentation/scheduler/sched-bpf.rst.
 */

#include <linux/irq_work.h>
#include <linux/types.h>
#include <linux/workqueue_types.h>

struct bpf_map;
struct bpf_sched_ops;
struct cgroup;
struct module;
struct sched_entity;
struct seq_file;
struct task_struct;

/* Bytes of a policy's name, its terminating zero included. */
#define BPF_SCHED_NAME_LEN	16

/**
 * enum bpf_sched_flags - flags of struct bpf_sched_ops
 * @BPF_SCHED_F_SHADOW: ask and count, never obey: the way to try a policy on a
 *	system that matters. An answer of a shadow policy does not keep the
 *	policies after it from being asked.
 */
enum bpf_sched_flags {
	BPF_SCHED_F_SHADOW		= 1U << 0,
};

#define BPF_SCHED_F_ALL	BPF_SCHED_F_SHADOW

/**
 * enum bpf_sched_verdict - names of answers
 * @BPF_SCHED_NO_OPINION: do what the fair class does without a policy
 * @BPF_SCHED_NO_PREEMPT: to a wakeup: the wakee does not preempt now
 * @BPF_SCHED_PREEMPT: to a wakeup: the wakee preempts
 * @BPF_SCHED_PREEMPT_NOW: to a wakeup: it does so at once, where the kernel would
 *	wait for the tick or the return to user space (PREEMPT_LAZY)
 * @BPF_SCHED_KEEP: to cfs_check_preempt_tick(): the request grows
 * @BPF_SCHED_RESCHED: to cfs_check_preempt_tick(): the request ends
 * @BPF_SCHED_STAY: to cfs_can_migrate(): leave the task where it is
 * @BPF_SCHED_MIGRATE: to cfs_can_migrate(): move it, even if it is cache-hot
 * @BPF_SCHED_CPU_0: to cfs_select_cpu(): CPU 0; the number of another is added to it
 *
 * Only the sign counts of others, and they mean what the verdict of their sign does;
 * cfs_slice() and cfs_select_cpu() want a number.
 */
enum bpf_sched_verdict {
	BPF_SCHED_NO_OPINION	= 0,
	BPF_SCHED_NO_PREEMPT	= -1,
	BPF_SCHED_PREEMPT	= 1,
	BPF_SCHED_PREEMPT_NOW	= 2,
	BPF_SCHED_KEEP		= -1,
	BPF_SCHED_RESCHED	= 1,
	BPF_SCHED_STAY		= -1,
	BPF_SCHED_MIGRATE	= 1,
	BPF_SCHED_CPU_0		= 1,
};

/**
 * enum bpf_sched_wake_flags - what is known of a wakeup
 * @BPF_SCHED_WAKE_FORK: it is the first one of a new task
 * @BPF_SCHED_WAKE_SYNC: the waker says that it is about to sleep
 * @BPF_SCHED_WAKE_MIGRATED: the wakee ran on another CPU before
 */
enum bpf_sched_wake_flags {
	BPF_SCHED_WAKE_FORK	= 0x04,
	BPF_SCHED_WAKE_SYNC	= 0x10,
	BPF_SCHED_WAKE_MIGRATED	= 0x20,
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
 * @show: writes what the policy counts itself, by bpf_sched_show_stat(); NULL if it
 *	  counts nothing. Called in process context while no policy can be attached,
 *	  replaced or detached
 *
 * What is attached so is bounded, counted, shown and switched off as a policy of a
 * BPF program is, and detached when its cgroup is removed or when it takes too much
 * time: the registration stays, to be ended by bpf_sched_unregister(). How long a
 * single call takes, nobody but its author limits.
 */
struct bpf_sched_registration {
	struct module *owner;
	struct cgroup *cgrp;
	u32 flags;
	void (*show)(struct seq_file *m, const struct bpf_sched_policy *policy);
	/* private: of module.c */
	void (*work_fn)(struct bpf_sched_registration *reg);
	struct irq_work kick;
	struct work_struct work;
};

int bpf_sched_register(struct bpf_sched_registration *reg, const struct bpf_sched_ops *ops);
int bpf_sched_update(struct bpf_sched_registration *reg, const struct bpf_sched_ops *new);
void bpf_sched_unregister(struct bpf_sched_registration *reg);
bool bpf_sched_is_attached(const struct bpf_sched_registration *reg);
void bpf_sched_start_work(struct bpf_sched_registration *reg,
			  void (*fn)(struct bpf_sched_registration *reg));
void bpf_sched_stop_work(struct bpf_sched_registration *reg);
void bpf_sched_schedule_work(struct bpf_sched_registration *reg);
void bpf_sched_show_stat(struct seq_file *m, const struct bpf_sched_policy *policy,
			 const char *name, u64 value);

/* State that is kept of tasks; see kernel/sched/bpf/task_storage.c. */
struct bpf_map *bpf_sched_task_storage_alloc(u32 size);
void bpf_sched_task_storage_free(struct bpf_map *map);
void *bpf_sched_task_storage_get(struct bpf_map *map, struct task_struct *p, void *init);

/* With CONFIG_LOCKDEP: is the rq of @se, or @p, locked by this CPU, as for a question? */
void bpf_sched_assert_locked(struct sched_entity *se);
void bpf_sched_assert_pi_locked(struct task_struct *p);

/* For the KUnit tests of Rust: call @fn with the rq of the current task locked. */
void bpf_sched_test_question(void (*fn)(void *arg), void *arg);

/* What a policy may ask of an entity or of a CPU; see kfuncs.c, cpus.c and module.c. */
struct task_struct *bpf_sched_entity_task(struct sched_entity *se);
s64 bpf_sched_entity_lag(struct sched_entity *se);
int bpf_sched_entity_eligible(struct sched_entity *se);
u32 bpf_sched_entity_nr_runnable(struct sched_entity *se);
long bpf_sched_entity_belongs_to_cgrp(struct sched_entity *se, u64 cgrpid);
int bpf_sched_cpu_is_idle(u32 cpu);
int bpf_sched_cpu_nr_runnable(u32 cpu);
int bpf_sched_cpu_capacity(u32 cpu);
int bpf_sched_cpu_node(u32 cpu);
int bpf_sched_cpus_share_cache(u32 cpu, u32 other);

#endif /* _LINUX_BPF_SCHED_H */
