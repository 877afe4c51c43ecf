/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decision points of the fair class that a policy may answer.
 *
 * Each BPF_SCHED_HOOK(hook, (parameters), (arguments)) below is the only
 * declaration of that hook. The member of struct bpf_sched_ops, the static key,
 * the call, the CFI stub and the counters follow from it; the member also gets a
 * last parameter, "this". To add a hook: add its entry here, call it from fair.c
 * through a wrapper in kernel/sched/bpf/hooks.h, bound its answer in wakeup.c,
 * request.c or placement.c of kernel/sched/bpf/, and add its test.
 *
 * This file is included several times and has no include guard.
 *
 * Rules for every hook:
 *
 * - A policy supplies what EEVDF takes as input: what a wakeup does, the size of a
 *   request, its early end. EEVDF picks, and keeps the accounts. So with placement:
 *   on which CPU a task begins, whether it is worth moving. The balancer balances.
 * - It is called with the rq lock of the CPU in question held, if nothing else is
 *   said, and interrupts off. It must not sleep, take an rq or pi lock, or wake a task.
 * - It answers with an int; zero is no opinion: what the fair class does without a
 *   policy.
 * - A NULL member is the same as an answer of zero, at no cost.
 * - RT, deadline, stop, idle and sched_ext tasks are never asked about. While no
 *   sched_ext scheduler is loaded, a task whose policy is SCHED_EXT is none of them:
 *   it is in the fair class, as SCHED_NORMAL is.
 */

/**
 * DOC: cfs_check_preempt_wakeup
 *
 * ``int cfs_check_preempt_wakeup(struct task_struct *curr,
 * struct task_struct *p, u64 wake_flags, const struct bpf_sched_policy *this)``
 *
 * May the wakee @p preempt @curr? Asked in wakeup_preempt_fair(), which is
 * called for wakeups and for tasks that arrive otherwise, by fork, migration or
 * a change of priority. Asked for a SCHED_NORMAL @p, or one of SCHED_EXT
 * that is in the fair class, after the rules that are
 * not open to question: SCHED_IDLE always gives way, and SCHED_BATCH and
 * SCHED_IDLE wakees never preempt.
 *
 * @curr: the task picked on the CPU of @p, which is rq->donor, not ``current``:
 * the waker may run on another CPU.
 *
 * @p: the wakee, already queued on that CPU.
 *
 * @wake_flags: of enum bpf_sched_wake_flags; others may be set.
 *
 * Returns < 0: PREEMPT_WAKEUP_NONE. The wakeup changes nothing for @curr: @p stays
 * queued and competes at the next pick.
 *
 * Returns > 0: PREEMPT_WAKEUP_SHORT, as for a wakee with a shorter slice. If @p is
 * eligible (its lag is not negative) @curr loses its protection, the CPU
 * reschedules, and @p is the next buddy. Overruled otherwise, as mostly for a
 * wakee that slept too shortly to make up for what it ran too much. With
 * BPF_SCHED_PREEMPT_NOW the reschedule is not lazy: it does not wait for the tick
 * or the return to user space.
 */
BPF_SCHED_HOOK(cfs_check_preempt_wakeup,
	       (struct task_struct *curr, struct task_struct *p, u64 wake_flags),
	       (curr, p, wake_flags))

/**
 * DOC: cfs_wakeup_preempt_entity
 *
 * ``int cfs_wakeup_preempt_entity(struct sched_entity *curr,
 * struct sched_entity *se, u64 wake_flags, const struct bpf_sched_policy *this)``
 *
 * The same question about the entities, at the same place, asked if no policy has
 * an opinion on cfs_check_preempt_wakeup().
 *
 * @curr: the entity of the task picked on this CPU.
 *
 * @se: the entity of the wakee. Under flat EEVDF the entities that compete, and
 * so both of these, are tasks' entities.
 *
 * @wake_flags: as for cfs_check_preempt_wakeup().
 *
 * Returns: as cfs_check_preempt_wakeup().
 */
BPF_SCHED_HOOK(cfs_wakeup_preempt_entity,
	       (struct sched_entity *curr, struct sched_entity *se, u64 wake_flags),
	       (curr, se, wake_flags))

/**
 * DOC: cfs_check_preempt_tick
 *
 * ``int cfs_check_preempt_tick(struct sched_entity *curr,
 * unsigned long delta_exec, const struct bpf_sched_policy *this)``
 *
 * Should the request of @curr go on or end, while another fair task wants to run?
 * Asked in update_curr() where the request is used up, or its protection ends before,
 * unless a reschedule is pending already, at each tick in between, and at the hrtick,
 * where it is about to be used up. Not asked for a task that is about to sleep, nor for
 * a SCHED_IDLE task, which gives way to all others. @curr need not be ``current``.
 *
 * @curr: the entity whose request it is.
 *
 * @delta_exec: nanoseconds of execution since it was picked; on 32-bit machines
 * it wraps after 4.3 s.
 *
 * Returns < 0: the request grows, so that it and its protection last for another
 * tick; asked again then. What it grows to is bounded by max_slice_ns, and is a
 * debt as any: @curr is not picked again before the others had as much. Overruled
 * for a task that has a slice of its own, by sched_setattr().
 *
 * Returns > 0: the request ends here, as if it were used up: @curr gets a later
 * virtual deadline at an unchanged vruntime, no protection, and the CPU
 * reschedules. Overruled while @delta_exec is below 0.1 ms, the shortest request.
 */
BPF_SCHED_HOOK(cfs_check_preempt_tick,
	       (struct sched_entity *curr, unsigned long delta_exec),
	       (curr, delta_exec))

/**
 * DOC: cfs_slice
 *
 * ``int cfs_slice(struct sched_entity *se, u64 slice,
 * const struct bpf_sched_policy *this)``
 *
 * How long is the next request of @se? Its virtual deadline follows from it: a
 * short request is served soon, a long one is not interrupted for long. Asked in
 * update_deadline(), where a request is used up, and in place_entity(), where a
 * task starts to compete for a CPU with a new request, mostly by a wakeup. Not
 * asked for a task that has a slice of its own, by sched_setattr().
 *
 * @se: the entity of a task, which may not be queued yet.
 *
 * @slice: what it is without a policy: the base slice, in nanoseconds.
 *
 * Returns > 0: nanoseconds, in place of the base slice; clamped to 0.1 ms and
 * max_slice_ns. Shares of the CPU do not depend on it.
 *
 * Returns < 0: nothing that means anything: overruled.
 */
BPF_SCHED_HOOK(cfs_slice,
	       (struct sched_entity *se, u64 slice),
	       (se, slice))

/**
 * DOC: cfs_select_cpu
 *
 * ``int cfs_select_cpu(struct task_struct *p, u64 prev_cpu, u64 wake_flags,
 * u64 stock_cpu, const struct bpf_sched_policy *this)``
 *
 * Where is @p to be queued? Asked after select_task_rq_fair() has chosen, for a wakeup, a
 * new task and execve(), if @p may run on more than one CPU. Not asked if the waker
 * insists on its own CPU (WF_CURRENT_CPU), as a seccomp notification may.
 *
 * Called with the pi_lock of @p held, and no rq lock: what is known of the queues of
 * CPUs may be over when the answer is obeyed. @p is on no rq, or it is ``current``,
 * which calls execve().
 *
 * @p: the task.
 *
 * @prev_cpu: the CPU that it ran on before; of a new task, its parent's.
 *
 * @wake_flags: of enum bpf_sched_wake_flags; others may be set. None is known for
 * execve().
 *
 * @stock_cpu: the CPU that it is queued on without a policy.
 *
 * Returns > 0: BPF_SCHED_CPU_0 plus the number of a CPU. Overruled, and @stock_cpu
 * taken, if that is none @p may run on, is not active, or is isolated from balancing.
 * A task that waits there is moved by the balancer as any other.
 *
 * Returns < 0: nothing that means anything: overruled.
 */
BPF_SCHED_HOOK(cfs_select_cpu,
	       (struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu),
	       (p, prev_cpu, wake_flags, stock_cpu))

/**
 * DOC: cfs_can_migrate
 *
 * ``int cfs_can_migrate(struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot,
 * const struct bpf_sched_policy *this)``
 *
 * Is it worth moving @p, which waits? Asked in can_migrate_task(), where the balancer
 * looks at whether it is cache-hot, or NUMA balancing wants it elsewhere, and after all that
 * forbids the move. Not asked by active balancing, which is the balancer's last resort.
 *
 * @p: a task that is queued on @src_cpu, whose rq lock is held.
 *
 * @src_cpu: where it is.
 *
 * @dst_cpu: where the balancer would put it.
 *
 * @hot: 1 if it is cache-hot without a policy, or its memory is nearer to @src_cpu;
 * else 0.
 *
 * Returns < 0: no, as if it were cache-hot. Overruled, and @hot taken, once balancing
 * these CPUs has failed more than sched_domain::cache_nice_tries times, as that is, and
 * for 5 ms after @dst_cpu was refused tasks for 20 ms while it was idle: no CPU is idle for
 * long beside a task that may run there.
 *
 * Returns > 0: yes, as if it were not.
 */
BPF_SCHED_HOOK(cfs_can_migrate,
	       (struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot),
	       (p, src_cpu, dst_cpu, hot))

#undef BPF_SCHED_HOOK
