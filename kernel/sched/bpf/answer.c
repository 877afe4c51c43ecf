// SPDX-License-Identifier: GPL-2.0
/*
 * Obeys the answers of policies, within bounds that no policy can leave.
 *
 * - "Do not preempt" and "keep running" prolong a turn by at most max_hold_ns,
 *   counted from the first such answer obeyed in that turn. After that EEVDF
 *   decides alone until another task has had its turn. So each turn is at most
 *   max_hold_ns longer than without the policy, which with the default is what
 *   the longest slice of sched_setattr() may make of it.
 * - "Preempt" takes effect for an eligible wakee only, and "reschedule" changes
 *   the deadline of a request: neither takes from a task what it is owed.
 *
 * What a held task runs is charged to it as ever. But as entity_lag() limits what
 * a task that leaves the queue owes, one that is held and then sleeps is forgiven
 * the part above that limit. Others lose this part of their share, never a turn.
 */

#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/time64.h>

#include "../sched.h"
#include "hooks.h"
#include "internal.h"

/*
 * Shortest run before a turn can be ended by a policy: the shortest slice that
 * sched_setattr() accepts. Ending turns faster than that is only switching.
 */
#define MIN_TURN_NS	(100 * NSEC_PER_USEC)

u64 bpf_sched_max_hold_ns = 100 * NSEC_PER_MSEC;

/**
 * struct turn - the turn of the entity that is running on a CPU
 * @se: the entity
 * @nr_switches: rq->nr_switches when its turn was first seen; with @se it names
 *		 the turn, since another task running in between changes it
 * @held_since: rq_clock() at the first obeyed answer that held the CPU, or zero
 * @next: wakee that a policy granted preemption and that has yet to be picked
 * @held: the last tick answer was to keep running
 *
 * Protected by the lock of the CPU's rq. Both pointers may be stale and are
 * compared only. rq_clock() is used and not execution time because others wait
 * in real time: under proxy execution the donor's execution time stands still.
 */
struct turn {
	const struct sched_entity *se;
	u64 nr_switches;
	u64 held_since;
	const struct sched_entity *next;
	bool held;
};

static DEFINE_PER_CPU(struct turn, turns);

/* The turn of rq->donor, started anew if it is not the one seen last. */
static struct turn *current_turn(struct rq *rq)
{
	struct turn *turn = per_cpu_ptr(&turns, cpu_of(rq));
	const struct sched_entity *se = &rq->donor->se;

	if (turn->se != se || turn->nr_switches != rq->nr_switches)
		*turn = (struct turn){ .se = se, .nr_switches = rq->nr_switches };

	return turn;
}

/*
 * For how many nanoseconds the CPU may be held on for the entity of @turn, zero
 * if it may not. Time starts with the first question.
 */
static u64 hold_left(struct rq *rq, struct turn *turn)
{
	u64 max = READ_ONCE(bpf_sched_max_hold_ns), held;

	if (!turn->held_since)
		turn->held_since = rq_clock(rq);
	held = rq_clock(rq) - turn->held_since;

	return held < max ? max - held : 0;
}

/*
 * Let the protection of @se against other eligible entities end after it has run
 * for @ns more, if it does not end before.
 */
static void limit_protection(struct sched_entity *se, u64 ns)
{
	u64 vprot = se->vruntime + mul_u64_u64_div_u64(ns, NICE_0_LOAD, se->h_load.weight);

	if ((s64)(se->vprot - vprot) > 0)
		se->vprot = vprot;
}

static void count_overruled(struct bpf_sched_counters __percpu *counters)
{
	this_cpu_inc(counters->overruled);
}

bool __bpf_sched_held(struct rq *rq)
{
	struct sched_entity *curr = rq->cfs.curr;
	struct turn *turn;

	lockdep_assert_rq_held(rq);

	/* A task that is going to sleep may be on the rq, its dequeue delayed. */
	if (!curr || !curr->on_rq || curr->sched_delayed || curr != &rq->donor->se)
		return false;

	turn = current_turn(rq);
	return turn->held && hold_left(rq, turn);
}

void __bpf_sched_yield(struct rq *rq)
{
	lockdep_assert_rq_held(rq);

	current_turn(rq)->held = false;
}

/*
 * Do what the answer @ret says of the wakee @se. True if that decided the
 * wakeup, false if it was no opinion or was overruled.
 */
static bool obey_wakeup(struct rq *rq, struct sched_entity *se, int ret,
			struct bpf_sched_counters __percpu *counters)
{
	struct turn *turn = current_turn(rq);
	struct sched_entity *curr = &rq->donor->se;
	u64 left;

	if (!ret)
		return false;

	if (ret < 0) {
		left = hold_left(rq, turn);
		if (!left)
			goto overruled;
		/* No more questions may follow, so let time end it. */
		limit_protection(curr, left);
		return true;
	}

	if (!entity_eligible(&rq->cfs, se))
		goto overruled;

	/*
	 * A reschedule alone may pick @curr again. Make the wakee the next
	 * buddy, which pick_eevdf() returns while it is eligible: it is queued
	 * and its dequeue not delayed, see the callers in fair.c.
	 */
	rq->cfs.next = se;
	turn->next = se;
	turn->held = false;
	limit_protection(curr, 0);
	resched_curr_lazy(rq);
	return true;

overruled:
	count_overruled(counters);
	return false;
}

bool __bpf_sched_wakeup(struct rq *rq, struct task_struct *p)
{
	struct bpf_sched_counters __percpu *counters = NULL;
	int ret;

	lockdep_assert_rq_held(rq);

	ret = bpf_sched_ask_cfs_check_preempt_wakeup(&counters, rq->donor, p);

	return obey_wakeup(rq, &p->se, ret, counters);
}

bool __bpf_sched_wakeup_entity(struct rq *rq, struct sched_entity *se)
{
	struct bpf_sched_counters __percpu *counters = NULL;
	int ret;

	lockdep_assert_rq_held(rq);

	ret = bpf_sched_ask_cfs_wakeup_preempt_entity(&counters, &rq->donor->se, se);

	return obey_wakeup(rq, se, ret, counters);
}

bool __bpf_sched_tick(struct rq *rq, struct sched_entity *se)
{
	struct bpf_sched_counters __percpu *counters = NULL;
	struct turn *turn;
	u64 delta_exec;
	int ret;

	lockdep_assert_rq_held(rq);

	/* update_curr() accounts rq->donor; nothing else has a turn. */
	if (se != &rq->donor->se)
		return false;

	turn = current_turn(rq);
	turn->held = false;

	/* Nobody waits: one that is still queued, its dequeue delayed, does not. */
	if (rq->cfs.h_nr_runnable <= 1) {
		turn->held_since = 0;
		return false;
	}

	/* The end of this turn is decided already. */
	if (turn->next && turn->next == rq->cfs.next)
		return false;

	/* SCHED_IDLE gives way to all others: not a question for a policy. */
	if (task_has_idle_policy(container_of(se, struct task_struct, se)))
		return false;

	delta_exec = se->sum_exec_runtime - se->prev_sum_exec_runtime;
	ret = bpf_sched_ask_cfs_check_preempt_tick(&counters, se, delta_exec);
	if (!ret)
		return false;

	if (ret < 0) {
		if (!hold_left(rq, turn))
			goto overruled;
		turn->held = true;
		return true;
	}

	if (delta_exec < MIN_TURN_NS)
		goto overruled;

	/* update_deadline() takes this for a request that has been served. */
	se->deadline = se->vruntime;
	return false;

overruled:
	count_overruled(counters);
	return false;
}
