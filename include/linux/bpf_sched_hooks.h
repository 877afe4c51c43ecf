/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decision points of the fair class that a policy may answer.
 *
 * Each BPF_SCHED_HOOK(hook, (parameters), (arguments)) below is the only
 * declaration of that hook. The member of struct bpf_sched_ops, the static key,
 * the static call, the CFI stub and the counters follow from it; the member
 * also gets a last parameter, "this". To add a hook:
 * add its entry here, call it from fair.c through a wrapper in
 * kernel/sched/bpf/hooks.h that bounds its answer, and add its test.
 *
 * This file is included several times and has no include guard.
 *
 * Rules for every hook:
 *
 * - It is called with the rq lock of the CPU in question held and interrupts
 *   off. It must not sleep, take an rq or pi lock, or wake a task.
 * - It answers with an int of which only the sign counts: negative, zero (no
 *   opinion: what the fair class does without a policy) or positive.
 * - A NULL member is the same as an answer of zero, at no cost.
 * - RT, deadline, stop, idle and sched_ext tasks are never asked about.
 */

/**
 * DOC: cfs_check_preempt_wakeup
 *
 * ``int cfs_check_preempt_wakeup(struct task_struct *curr,
 * struct task_struct *p, const struct bpf_sched_policy *this)``
 *
 * May the wakee @p preempt @curr? Asked in wakeup_preempt_fair(), which is
 * called for wakeups and for tasks that arrive otherwise, by fork, migration or
 * a change of priority. Asked for a SCHED_NORMAL @p, after the rules that are
 * not open to question: SCHED_IDLE always gives way, and SCHED_BATCH and
 * SCHED_IDLE wakees never preempt.
 *
 * @curr: the task picked on the CPU of @p, which is rq->donor, not ``current``:
 * the waker may run on another CPU.
 *
 * @p: the wakee, already queued on that CPU.
 *
 * Returns < 0: @p does not preempt @curr now. It stays queued and competes
 * when the slice of @curr is used up, after max_hold_ns at the latest.
 *
 * Returns > 0: @p preempts @curr and is the next task picked, if @p is eligible
 * (its lag is not negative); overruled otherwise, as mostly for a wakee that
 * slept too shortly to make up for what it ran too much. It is not picked if it stops
 * being eligible before, or if a later wakee is granted the same.
 */
BPF_SCHED_HOOK(cfs_check_preempt_wakeup,
	       (struct task_struct *curr, struct task_struct *p),
	       (curr, p))

/**
 * DOC: cfs_wakeup_preempt_entity
 *
 * ``int cfs_wakeup_preempt_entity(struct sched_entity *curr,
 * struct sched_entity *se, const struct bpf_sched_policy *this)``
 *
 * Should the entity @se win the comparison with @curr? Asked in
 * wakeup_preempt_fair() where the slices and virtual deadlines of the two are
 * about to be compared. It is narrower than cfs_check_preempt_wakeup(): it is
 * not asked for a wakeup that was decided before, by that hook, by WF_FORK or by
 * WF_SYNC. It is asked once more if the comparison has to be repeated because
 * the pick completed a delayed dequeue.
 *
 * @curr: the entity of the task picked on this CPU.
 *
 * @se: the entity of the wakee. Under flat EEVDF the entities that compete, and
 * so both of these, are tasks' entities.
 *
 * Returns: as cfs_check_preempt_wakeup().
 */
BPF_SCHED_HOOK(cfs_wakeup_preempt_entity,
	       (struct sched_entity *curr, struct sched_entity *se),
	       (curr, se))

/**
 * DOC: cfs_check_preempt_tick
 *
 * ``int cfs_check_preempt_tick(struct sched_entity *curr,
 * unsigned long delta_exec, const struct bpf_sched_policy *this)``
 *
 * Should the turn of @curr end? Asked in update_curr() whenever the run time of
 * @curr is accounted while another fair task wants to run: at each tick, at a
 * wakeup on this CPU, when the CPU reschedules, and when the CPU time of @curr is
 * read, by itself or from another CPU; so @curr need not be ``current``.
 * Not asked while a wakee that a policy granted preemption waits to be picked,
 * nor for a SCHED_IDLE task, which gives way to all others.
 *
 * @curr: the entity whose turn it is.
 *
 * @delta_exec: nanoseconds of execution since it was picked; on 32-bit machines
 * it wraps after 4.3 s.
 *
 * Returns < 0: keep running. Holds against the end of the slice, against a
 * reschedule that is already pending and against later wakeups, until the
 * question is next answered otherwise. Bounded by max_hold_ns.
 *
 * Returns > 0: the request of @curr ends here, as if its slice were used up: it
 * gets a later virtual deadline at an unchanged vruntime, and the CPU
 * reschedules. Overruled while @delta_exec is below 0.1 ms.
 */
BPF_SCHED_HOOK(cfs_check_preempt_tick,
	       (struct sched_entity *curr, unsigned long delta_exec),
	       (curr, delta_exec))

#undef BPF_SCHED_HOOK
