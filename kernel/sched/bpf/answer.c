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

/**
 * struct undecided - shadow answers to a wakeup that the fair class has to decide
 * @wakee: the wakee
 * @clock: rq_clock() of the question; with @wakee it names the wakeup
 * @shadow: see struct bpf_sched_answer
 */
struct undecided {
	const struct task_struct *wakee;
	u64 clock;
	u64 shadow[2];
};

/**
 * struct turn - the turn of the entity that is running on a CPU
 * @se: the entity
 * @nr_switches: rq->nr_switches when its turn was first seen; with @se it names
 *		 the turn, since another task running in between changes it
 * @held_since: rq_clock() at the first obeyed answer that held the CPU, or zero
 * @next: wakee that a policy granted preemption and that has yet to be picked
 * @held: the last tick answer was to keep running
 * @yielded: the task gave the CPU up; it may still be accounted for
 * @undecided: per wakeup hook
 *
 * Protected by the lock of the CPU's rq. Pointers may be stale and are compared
 * only. rq_clock() is used and not execution time because others wait
 * in real time: under proxy execution the donor's execution time stands still.
 */
struct turn {
	const struct sched_entity *se;
	u64 nr_switches;
	u64 held_since;
	const struct sched_entity *next;
	bool held;
	bool yielded;
	struct undecided undecided[2];
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
 * if it may not. Time starts with the first answer that is obeyed.
 */
static u64 hold_left(struct rq *rq, const struct turn *turn)
{
	u64 max = READ_ONCE(bpf_sched_max_hold_ns.val), held = 0;

	if (turn->held_since)
		held = rq_clock(rq) - turn->held_since;

	return held < max ? max - held : 0;
}

static void start_hold(struct rq *rq, struct turn *turn)
{
	if (!turn->held_since)
		turn->held_since = rq_clock(rq);
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

/* An answer of @policy is not obeyed. */
static void overrule(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
		     enum bpf_sched_bound bound, int answer)
{
	bpf_sched_overruled(policy, hook, bound, answer);
	bpf_sched_judge(policy, hook, bound);
}

/* Add @n to what the shadow policies in @mask would have changed. */
static void count_differ(enum bpf_sched_hook hook, u64 mask, int n)
{
	struct bpf_sched_attachment *policy;

	while (mask) {
		policy = bpf_sched_attachment(__ffs64(mask));
		mask &= mask - 1;
		if (policy)
			this_cpu_add(policy->counters[hook].differ, n);
	}
}

/* Shadow answers that would not be obeyed change nothing, and are nobody's fault. */
static void overrule_shadow(enum bpf_sched_hook hook, u64 *mask,
			    enum bpf_sched_bound bound, int answer)
{
	while (*mask) {
		bpf_sched_overruled(bpf_sched_attachment(__ffs64(*mask)), hook, bound, answer);
		*mask &= *mask - 1;
	}
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
	return turn->held && hold_left(rq, turn) && !READ_ONCE(bpf_sched_off);
}

void __bpf_sched_yield(struct rq *rq)
{
	lockdep_assert_rq_held(rq);

	current_turn(rq)->held = false;
	current_turn(rq)->yielded = true;
}

/*
 * Do what the answer @ret says of the wakee @se. True if that decided the
 * wakeup, false if it was no opinion or was overruled.
 */
static bool obey_wakeup(struct rq *rq, struct sched_entity *se, enum bpf_sched_hook hook,
			int ret, struct bpf_sched_attachment *policy)
{
	struct turn *turn = current_turn(rq);
	struct sched_entity *curr = &rq->donor->se;
	u64 left;

	if (!ret)
		return false;

	if (ret < 0) {
		left = hold_left(rq, turn);
		if (!left) {
			overrule(policy, hook, BPF_SCHED_BOUND_hold, ret);
			return false;
		}
		start_hold(rq, turn);
		/* No more questions may follow, so let time end it. */
		limit_protection(curr, left);
		return true;
	}

	if (!entity_eligible(&rq->cfs, se)) {
		overrule(policy, hook, BPF_SCHED_BOUND_eligible, ret);
		return false;
	}

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
}

/*
 * Compare the shadow answers with what becomes of the wakeup of @p: what @ret
 * says if that decided it. Else the fair class has to decide: as if @p did not
 * preempt, until it says that @p does.
 */
static void compare_wakeup(struct rq *rq, struct task_struct *p, enum bpf_sched_hook hook,
			   bool decided, int ret, u64 *shadow)
{
	bool second = hook == BPF_SCHED_cfs_wakeup_preempt_entity;
	struct turn *turn = current_turn(rq);
	struct undecided *undecided = &turn->undecided[second];

	/* The same question once more: what was said before does not count. */
	if (undecided->wakee == p && undecided->clock == rq_clock(rq))
		count_differ(hook, undecided->shadow[1], -1);
	undecided->wakee = NULL;

	if (!hold_left(rq, turn))
		overrule_shadow(hook, &shadow[0], BPF_SCHED_BOUND_hold, -1);
	if (!entity_eligible(&rq->cfs, &p->se))
		overrule_shadow(hook, &shadow[1], BPF_SCHED_BOUND_eligible, 1);

	if (decided) {
		count_differ(hook, shadow[ret < 0], 1);
		return;
	}

	count_differ(hook, shadow[1], 1);
	undecided->wakee = p;
	undecided->clock = rq_clock(rq);
	undecided->shadow[0] = shadow[0];
	undecided->shadow[1] = shadow[1];
}

void __bpf_sched_preempts(struct rq *rq, struct task_struct *p)
{
	static const enum bpf_sched_hook hooks[] = {
		BPF_SCHED_cfs_check_preempt_wakeup,
		BPF_SCHED_cfs_wakeup_preempt_entity,
	};
	struct turn *turn = current_turn(rq);
	int i;

	lockdep_assert_rq_held(rq);

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		struct undecided *undecided = &turn->undecided[i];

		if (undecided->wakee == p && undecided->clock == rq_clock(rq)) {
			count_differ(hooks[i], undecided->shadow[1], -1);
			count_differ(hooks[i], undecided->shadow[0], 1);
		}
		undecided->wakee = NULL;
	}
}

static bool decide_wakeup(struct rq *rq, struct task_struct *p, enum bpf_sched_hook hook,
			  int ret, struct bpf_sched_answer *answer)
{
	bool decided = obey_wakeup(rq, &p->se, hook, ret, answer->policy);

	if (unlikely(answer->shadow[0] | answer->shadow[1]))
		compare_wakeup(rq, p, hook, decided, ret, answer->shadow);
	/* Nor does the fair class say it then, where the other hook left it open. */
	if (decided && ret > 0)
		bpf_sched_preempts(rq, p);

	return decided;
}

bool __bpf_sched_wakeup(struct rq *rq, struct task_struct *p)
{
	struct bpf_sched_answer answer;
	int ret;

	lockdep_assert_rq_held(rq);

	ret = bpf_sched_ask_cfs_check_preempt_wakeup(&answer, p, rq->donor, rq->donor, p);

	return decide_wakeup(rq, p, BPF_SCHED_cfs_check_preempt_wakeup, ret, &answer);
}

bool __bpf_sched_wakeup_entity(struct rq *rq, struct sched_entity *se)
{
	struct task_struct *p = container_of(se, struct task_struct, se);
	struct bpf_sched_answer answer;
	int ret;

	lockdep_assert_rq_held(rq);

	ret = bpf_sched_ask_cfs_wakeup_preempt_entity(&answer, p, rq->donor,
						      &rq->donor->se, se);

	return decide_wakeup(rq, p, BPF_SCHED_cfs_wakeup_preempt_entity, ret, &answer);
}

/*
 * Compare the shadow answers with what becomes of the turn of @se: what @ret
 * says if that decided it, else what update_curr() is about to find.
 */
static void compare_tick(struct rq *rq, struct sched_entity *se, u64 delta_exec,
			 bool decided, int ret, u64 *shadow)
{
	const enum bpf_sched_hook hook = BPF_SCHED_cfs_check_preempt_tick;
	bool ends = (s64)(se->vruntime - se->deadline) >= 0 ||
		    (s64)(se->vprot - se->vruntime) <= 0;

	if (!hold_left(rq, current_turn(rq)))
		overrule_shadow(hook, &shadow[0], BPF_SCHED_BOUND_hold, -1);
	if (delta_exec < MIN_TURN_NS)
		overrule_shadow(hook, &shadow[1], BPF_SCHED_BOUND_turn, 1);

	if (decided)
		ends = ret > 0;
	count_differ(hook, shadow[!ends], 1);
}

/* Do what the answer @ret says of the turn of @se. True if that decided it. */
static bool obey_tick(struct rq *rq, struct sched_entity *se, u64 delta_exec,
		      int ret, struct bpf_sched_attachment *policy)
{
	const enum bpf_sched_hook hook = BPF_SCHED_cfs_check_preempt_tick;
	struct turn *turn = current_turn(rq);

	if (!ret)
		return false;

	if (ret < 0) {
		if (turn->yielded)
			return false;
		if (!hold_left(rq, turn)) {
			overrule(policy, hook, BPF_SCHED_BOUND_hold, ret);
			return false;
		}
		start_hold(rq, turn);
		turn->held = true;
		return true;
	}

	if (delta_exec < MIN_TURN_NS) {
		overrule(policy, hook, BPF_SCHED_BOUND_turn, ret);
		return false;
	}

	return true;
}

bool __bpf_sched_tick(struct rq *rq, struct sched_entity *se)
{
	struct bpf_sched_answer answer;
	struct task_struct *p;
	struct turn *turn;
	u64 delta_exec;
	bool decided;
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
	if (sched_feat(PICK_BUDDY) && turn->next && turn->next == rq->cfs.next)
		return false;

	/* SCHED_IDLE gives way to all others: not a question for a policy. */
	p = container_of(se, struct task_struct, se);
	if (task_has_idle_policy(p))
		return false;

	delta_exec = se->sum_exec_runtime - se->prev_sum_exec_runtime;
	ret = bpf_sched_ask_cfs_check_preempt_tick(&answer, p, NULL, se, delta_exec);
	decided = obey_tick(rq, se, delta_exec, ret, answer.policy);
	if (unlikely(answer.shadow[0] | answer.shadow[1]))
		compare_tick(rq, se, delta_exec, decided, ret, answer.shadow);

	if (!decided)
		return false;
	if (ret < 0)
		return true;

	/* update_deadline() takes this for a request that has been served. */
	se->deadline = se->vruntime;
	return false;
}
