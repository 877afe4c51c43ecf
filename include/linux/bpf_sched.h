/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BPF_SCHED_H
#define _LINUX_BPF_SCHED_H

#include <linux/list.h>
#include <linux/types.h>

struct bpf_sched_stats;
struct cgroup;
struct module;
struct sched_entity;
struct task_struct;

/* Size of a policy's name, with the terminating zero. */
#define BPF_SCHED_NAME_LEN	16

/**
 * enum bpf_sched_flags - bpf_sched_ops::flags
 * @BPF_SCHED_F_SHADOW: call the hooks and count the results, but ignore them
 */
enum bpf_sched_flags {
	BPF_SCHED_F_SHADOW	= 1U << 0,
};

#define BPF_SCHED_F_ALL	BPF_SCHED_F_SHADOW

/**
 * enum bpf_sched_result - return values of hooks
 * @BPF_SCHED_PASS: keep the default decision
 * @BPF_SCHED_NO_PREEMPT: of a wakeup: the wakee does not preempt
 * @BPF_SCHED_PREEMPT: of a wakeup: the wakee preempts
 * @BPF_SCHED_PREEMPT_NOW: of a wakeup: the wakee preempts at once, where the kernel
 *	would wait for the tick or the return to user space (PREEMPT_LAZY)
 * @BPF_SCHED_EXTEND: of cfs_check_preempt_tick(): the slice goes on
 * @BPF_SCHED_END: of cfs_check_preempt_tick(): the slice ends
 * @BPF_SCHED_STAY: of cfs_can_migrate(): the task stays
 * @BPF_SCHED_MIGRATE: of cfs_can_migrate(): it may be migrated, even if cache-hot
 * @BPF_SCHED_CPU_0: of cfs_select_cpu(): CPU 0; add the number of another CPU
 *
 * For other values than these the sign counts.
 */
enum bpf_sched_result {
	BPF_SCHED_PASS		= 0,
	BPF_SCHED_NO_PREEMPT	= -1,
	BPF_SCHED_PREEMPT	= 1,
	BPF_SCHED_PREEMPT_NOW	= 2,
	BPF_SCHED_EXTEND	= -1,
	BPF_SCHED_END		= 1,
	BPF_SCHED_STAY		= -1,
	BPF_SCHED_MIGRATE	= 1,
	BPF_SCHED_CPU_0		= 1,
};

/**
 * enum bpf_sched_wake_flags - what is known of a wakeup
 * @BPF_SCHED_WAKE_FORK: it is the first one of a new task
 * @BPF_SCHED_WAKE_TTWU: it is another one
 * @BPF_SCHED_WAKE_SYNC: the waker is about to sleep
 * @BPF_SCHED_WAKE_MIGRATED: the wakee ran on another CPU before
 */
enum bpf_sched_wake_flags {
	BPF_SCHED_WAKE_FORK	= 0x04,
	BPF_SCHED_WAKE_TTWU	= 0x08,
	BPF_SCHED_WAKE_SYNC	= 0x10,
	BPF_SCHED_WAKE_MIGRATED	= 0x20,
};

/**
 * struct bpf_sched_ops - a policy for the fair class
 *
 * A policy supplies inputs: EEVDF still picks the next task and tracks lag. Each
 * hook returns an int. 0 keeps the default decision, and so does a member that
 * is NULL. The kernel checks every other return value.
 *
 * Hooks run with interrupts off and, if nothing else is said, with the rq lock
 * held. They must not sleep, wake a task or take a lock that orders before the rq
 * lock. They are not called for tasks of other scheduling classes.
 *
 * Each hook has a last parameter, the cgroup that the policy is attached to.
 */
struct bpf_sched_ops {
	/**
	 * @cfs_check_preempt_wakeup: decide whether a wakee preempts
	 *
	 * Called in wakeup_preempt_fair() for wakeups and forks, unless one of
	 * the two is SCHED_IDLE or the wakee is SCHED_BATCH.
	 *
	 * Parameters: the current task of the wakee's CPU, which is rq->donor and
	 * not the waker; the wakee, which is queued there; flags of
	 * &enum bpf_sched_wake_flags, among others; the cgroup. The policies that
	 * apply to the wakee are called first, then those that apply to the
	 * current task only.
	 *
	 * Return: < 0: the wakee does not preempt, as if it were SCHED_BATCH;
	 * rejected for a kernel thread. > 0: it preempts, as if its slice were
	 * shorter; rejected if it is not eligible. %BPF_SCHED_PREEMPT_NOW: it
	 * does so at once.
	 */
	int (*cfs_check_preempt_wakeup)(struct task_struct *curr, struct task_struct *p,
					u64 wake_flags, struct cgroup *cgrp);

	/**
	 * @cfs_wakeup_preempt_entity: decide whether a wakee's entity preempts
	 *
	 * Called at the same place, if @cfs_check_preempt_wakeup of this policy
	 * is NULL or returned 0, for programs that were written for CFS.
	 *
	 * Parameters: the entity of the current task; the entity of the wakee;
	 * the cgroup.
	 *
	 * Return: as @cfs_check_preempt_wakeup.
	 */
	int (*cfs_wakeup_preempt_entity)(struct sched_entity *curr, struct sched_entity *se,
					 struct cgroup *cgrp);

	/**
	 * @cfs_slice: set the length of a slice
	 *
	 * Called where the base slice is assigned to @se: in update_deadline(),
	 * when a slice is used up, and in place_entity(), when a task is
	 * enqueued. Not called for a task with a custom slice, see
	 * sched_setattr(2).
	 *
	 * Parameters: the entity of a task, which may not be on a queue yet; the
	 * base slice in nanoseconds; the cgroup.
	 *
	 * Return: the slice in nanoseconds, clamped to 0.1 ms and max_slice_ns.
	 * Negative values are rejected.
	 */
	int (*cfs_slice)(struct sched_entity *se, u64 slice, struct cgroup *cgrp);

	/**
	 * @cfs_check_preempt_tick: extend or end the current slice
	 *
	 * Called at the tick, and at the hrtick that ends the slice, for the
	 * current task, rq->donor, while another fair task waits and no
	 * reschedule is pending. Not called for a SCHED_IDLE
	 * task, one that is about to sleep, or while the core runs a core
	 * scheduling cookie.
	 *
	 * Parameters: the entity of the current task; nanoseconds that it has run
	 * since it was picked, which wrap after 4.3 s on 32-bit machines; the
	 * cgroup.
	 *
	 * Return: < 0: the slice and its protection last until the next tick,
	 * when the hook is called again. Rejected if max_slice_ns would be
	 * exceeded by the slice, by the negative lag, or by the extensions of all
	 * tasks until those that wait were served; for a custom slice; and if a
	 * kernel thread is next in line or woke during the slice. > 0: the slice
	 * ends. Rejected in the first 0.1 ms. An extended slice is a long one:
	 * wakees with a shorter slice preempt, unless @cfs_check_preempt_wakeup
	 * refuses.
	 */
	int (*cfs_check_preempt_tick)(struct sched_entity *curr, unsigned long delta_exec,
				      struct cgroup *cgrp);

	/**
	 * @cfs_select_cpu: select the CPU that a task is enqueued on
	 *
	 * Called after select_task_rq_fair() for a wakeup, a new task and
	 * execve(), with the pi_lock of the task held and no rq lock. Not called
	 * if the task can run on one CPU only or the waker insists on its own
	 * (WF_CURRENT_CPU).
	 *
	 * Parameters: the task, which is on no queue or is ``current``; the CPU
	 * that it ran on before, of a new task its parent's; flags of &enum
	 * bpf_sched_wake_flags, among others; the CPU that the class has
	 * selected; the cgroup.
	 *
	 * Return: %BPF_SCHED_CPU_0 plus the number of a CPU. Rejected if the task
	 * may not run there, or the CPU is not active or isolated from
	 * balancing.
	 */
	int (*cfs_select_cpu)(struct task_struct *p, u64 prev_cpu, u64 wake_flags,
			      u64 stock_cpu, struct cgroup *cgrp);

	/**
	 * @cfs_can_migrate: decide whether a waiting task is worth migrating
	 *
	 * Called in can_migrate_task() after everything that forbids it, where
	 * the balancer looks at whether the task is cache-hot. Not called by
	 * active balancing.
	 *
	 * Parameters: the task; the CPU whose queue it is on and whose rq lock is
	 * held; the CPU that it would be moved to; 1 if the task is cache-hot or
	 * its memory is nearer to its present CPU, else 0; the cgroup.
	 *
	 * Return: < 0: the task stays, as if it were cache-hot. Rejected when
	 * balancing has failed more often than sched_domain::cache_nice_tries,
	 * and for 5 ms after the idle destination was refused tasks for 20 ms.
	 * > 0: it may be migrated, as if it were not cache-hot. Rejected if its
	 * core scheduling cookie does not match.
	 */
	int (*cfs_can_migrate)(struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot,
			       struct cgroup *cgrp);

	/**
	 * @flags: of &enum bpf_sched_flags; others are refused
	 */
	u64 flags;

	/**
	 * @name: shown to users; not empty, of the characters of a BPF object name
	 */
	char name[BPF_SCHED_NAME_LEN];

	/* private: */
	struct bpf_sched_stats __percpu *stats;
	/* It exceeded its time budget. */
	bool disabled;
};

/**
 * struct bpf_sched_module - a policy of kernel code
 * @ops: its hooks; each with no sleep, no allocation and no print
 * @owner: its module, NULL for built-in code
 * @cgrp: call the hooks for tasks at and below this cgroup, of which the caller has a
 *	  reference when it registers; NULL for all tasks
 *
 * Hooks of kernel code are called after those of BPF policies, in order of
 * registration. They are counted, switched off and disabled alike.
 */
struct bpf_sched_module {
	struct bpf_sched_ops ops;
	struct module *owner;
	struct cgroup *cgrp;
	/* private: */
	struct list_head node;
};

int bpf_sched_register(struct bpf_sched_module *mod);
void bpf_sched_unregister(struct bpf_sched_module *mod);

/* State that kernel code keeps of tasks, see kernel/sched/bpf/task_storage.c */
#define BPF_SCHED_TASK_STORAGE_MAX	1024

struct bpf_map;

struct bpf_map *bpf_sched_task_storage_alloc(u32 size);
void bpf_sched_task_storage_free(struct bpf_map *map);
void *bpf_sched_task_storage_get(struct bpf_map *map, struct task_struct *p, bool create);

/* For KUnit: call @fn with the rq of the current task locked, as for a hook. */
void bpf_sched_test_hook(void (*fn)(void *arg), void *arg);

/* kfuncs, for kernel code */
u64 bpf_sched_entity_to_tgidpid(struct sched_entity *se);
u64 bpf_sched_entity_to_cgrpid(struct sched_entity *se);
long bpf_sched_entity_belongs_to_cgrp(struct sched_entity *se, u64 cgrpid);
s64 bpf_sched_entity_lag(struct sched_entity *se);
int bpf_sched_entity_eligible(struct sched_entity *se);
u32 bpf_sched_entity_nr_runnable(struct sched_entity *se);

#endif /* _LINUX_BPF_SCHED_H */
