// SPDX-License-Identifier: GPL-2.0
/*
 * What keeps a bad policy from doing harm, besides the bounds of its answers.
 *
 * - A switch turns all policies off at once: boot parameter, SysRq, debugfs. It is
 *   one store, and the questions look at it: no memory, no lock, no waiting.
 * - A policy that is overruled too often is reported, once, by name; if its flags
 *   say so, it is detached.
 * - A policy that is too slow is not asked any more, and detached: for itself, or
 *   for what all that are asked the same question take. That takes calls that
 *   return: how long a single one can be is limited by the verifier, see struct_ops.c.
 * - A policy whose cgroup is removed is detached.
 *
 * What is found under an rq lock is noted in bpf_sched_attachment::due and done by
 * a work item.
 */

#include <linux/bpf.h>
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/sysrq.h>
#include <linux/workqueue.h>

#include <trace/events/bpf_sched.h>

#include "internal.h"

struct bpf_sched_knob bpf_sched_max_hold_ns = {
	.name	= "max_hold_ns",
	.val	= 100 * NSEC_PER_MSEC,
	.min	= 1 * NSEC_PER_MSEC,
	.max	= 1 * NSEC_PER_SEC,
};

struct bpf_sched_knob bpf_sched_max_call_ns = {
	.name	= "max_call_ns",
	.val	= 100 * NSEC_PER_USEC,
	.min	= 1 * NSEC_PER_USEC,
	.max	= 10 * NSEC_PER_MSEC,
};

struct bpf_sched_knob bpf_sched_overruled_limit = {
	.name	= "overruled_limit",
	.val	= 1000,
	.min	= 1,
	.max	= 1000000000,
};

/*
 * Policies are attached, but not asked, and nothing is held for an answer of
 * before. Read by every question.
 */
bool bpf_sched_off __read_mostly;

/* How many timed calls on one CPU a policy is judged by. */
#define TIMED_CALLS	32

static void reap(struct work_struct *work);
static DECLARE_WORK(reap_work, reap);

static void queue_reap(struct irq_work *work)
{
	bpf_sched_reap();
}

/* Work items cannot be queued under an rq lock, which waking a worker takes. */
static DEFINE_IRQ_WORK(reap_irq_work, queue_reap);

/* Do soon what is due. Not under an rq lock. */
void bpf_sched_reap(void)
{
	queue_work(system_dfl_wq, &reap_work);
}

/*
 * Count an answer that is not obeyed.
 *
 * Context: rq lock held.
 */
void bpf_sched_overruled(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
			 enum bpf_sched_bound bound, int answer)
{
	static const char * const names[] = {
#define BPF_SCHED_BOUND(bound, text) #bound,
		BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
	};

	this_cpu_inc(policy->counters[hook].overruled[bound]);
	trace_bpf_sched_overruled(bpf_sched_handle(policy), bpf_sched_hook_names[hook],
				  names[bound], answer);
}

/*
 * @policy was overruled. If overruled_limit answers on this CPU were, and they are
 * more than half of the opinions that it had here meanwhile, it does not do what
 * its author thinks.
 *
 * Context: rq lock held.
 */
void bpf_sched_judge(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
		     enum bpf_sched_bound bound)
{
	struct bpf_sched_counters *c = this_cpu_ptr(policy->counters + hook);
	u64 opinions = c->negative + c->positive;
	bool often;

	if (++c->recent.overruled < READ_ONCE(bpf_sched_overruled_limit.val))
		return;

	often = c->recent.overruled * 2 > opinions - c->recent.opinions;
	c->recent.overruled = 0;
	c->recent.opinions = opinions;
	if (!often || test_and_set_bit(BPF_SCHED_OVERRULED, &policy->due))
		return;

	policy->overruled_hook = hook;
	policy->overruled_bound = bound;
	/* Pairs with test_and_clear_bit() in report(). */
	smp_mb__before_atomic();
	set_bit(BPF_SCHED_DUE_REPORT, &policy->due);
	irq_work_queue(&reap_irq_work);
}

/*
 * How long a call may take if these are asked. Those found to be too slow do not
 * count: their share is for the others, so that no more leave than have to.
 */
static u64 call_limit(const struct bpf_sched_order *asked)
{
	u64 limit = READ_ONCE(bpf_sched_max_call_ns.val);
	unsigned int i, nr = 0;

	for (i = 0; i < asked->nr; i++)
		nr += !bpf_sched_is_slow(bpf_sched_attachment(asked->index[i]));

	return nr > BPF_SCHED_FULL_CALLS ? div_u64(limit * BPF_SCHED_FULL_CALLS, nr) : limit;
}

/*
 * Count the time of a call. Judge it, if @asked, which are the policies that the
 * question is for: if of TIMED_CALLS on this CPU more than half take too long,
 * @policy is too slow to be asked.
 *
 * Context: rq lock held.
 */
void bpf_sched_timed(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
		     u64 ns, const struct bpf_sched_order *asked)
{
	struct bpf_sched_counters *c = this_cpu_ptr(policy->counters + hook);
	u64 limit;
	bool slow;

	if (static_branch_unlikely(&bpf_stats_enabled_key)) {
		c->time_ns += ns;
		c->max_ns = max(c->max_ns, ns);
	}

	if (!asked)
		return;

	limit = call_limit(asked);
	if (ns > limit) {
		c->slow++;
		c->recent.slow++;
	}
	slow = c->recent.slow > TIMED_CALLS / 2;
	if (++c->recent.timed == TIMED_CALLS || slow) {
		c->recent.timed = 0;
		c->recent.slow = 0;
	}
	if (!slow || test_and_set_bit(BPF_SCHED_SLOW, &policy->due))
		return;

	policy->slow_hook = hook;
	policy->slow_ns = limit;
	/* Pairs with test_bit_acquire() in report(). */
	smp_mb__before_atomic();
	set_bit(BPF_SCHED_DUE_EJECT, &policy->due);
	irq_work_queue(&reap_irq_work);
}

/*
 * What was found of @policy was found of answers that have been replaced.
 *
 * Context: the lock of bpf_sched_for_each(), so that nothing is done about it.
 */
void bpf_sched_acquit(struct bpf_sched_attachment *policy)
{
	struct bpf_sched_counters *c;
	enum bpf_sched_hook hook;
	int cpu;

	for_each_possible_cpu(cpu) {
		for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
			c = per_cpu_ptr(policy->counters + hook, cpu);
			WRITE_ONCE(c->recent.timed, 0);
			WRITE_ONCE(c->recent.slow, 0);
			WRITE_ONCE(c->recent.overruled, 0);
			WRITE_ONCE(c->recent.opinions,
				   READ_ONCE(c->negative) + READ_ONCE(c->positive));
		}
	}
	policy->due = 0;
}

static void report(struct bpf_sched_attachment *policy, const struct bpf_sched_ops *ops)
{
	static const char * const texts[] = {
#define BPF_SCHED_BOUND(bound, text) text,
		BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
	};
	bool detach = ops->flags & BPF_SCHED_F_DETACH_OVERRULED;
	u32 id = bpf_sched_handle(policy)->id;

	if (test_and_clear_bit(BPF_SCHED_DUE_REPORT, &policy->due)) {
		pr_warn("sched_bpf: policy %s (id %u) is overruled too often: it %s, in %s%s\n",
			ops->name, id, texts[policy->overruled_bound],
			bpf_sched_hook_names[policy->overruled_hook],
			detach ? "; detached" : "");
		if (detach)
			set_bit(BPF_SCHED_DETACH, &policy->due);
	}

	if (test_bit_acquire(BPF_SCHED_DUE_EJECT, &policy->due) &&
	    !test_and_set_bit(BPF_SCHED_DETACH, &policy->due))
		pr_warn("sched_bpf: policy %s (id %u) is too slow: most calls of %s take more than %llu ns; detached\n",
			ops->name, id, bpf_sched_hook_names[policy->slow_hook],
			policy->slow_ns);
}

/**
 * struct doomed - a policy that is to be detached
 * @link: a reference to its link, or NULL
 * @id: its id if it has no link, or zero
 */
struct doomed {
	struct bpf_link *link;
	u32 id;
};

/* Find a policy that is to be detached. */
static void look_at(void *arg, struct bpf_sched_attachment *policy,
		    const struct bpf_sched_ops *ops)
{
	struct doomed *found = arg;
	struct bpf_link *link;

	report(policy, ops);
	if (found->link || found->id)
		return;

	if (!test_bit(BPF_SCHED_DETACH, &policy->due) &&
	    !(policy->scope->cgrp && cgroup_is_dead(policy->scope->cgrp)))
		return;

	if (!policy->link) {
		found->id = bpf_sched_handle(policy)->id;
		return;
	}

	/* A link whose last reference is gone is being detached anyway. */
	link = bpf_link_inc_not_zero((struct bpf_link *)policy->link);
	if (!IS_ERR(link))
		found->link = link;
}

static void reap(struct work_struct *work)
{
	struct doomed found;

	/* One at a time: detaching takes the lock under which we look. */
	do {
		found = (struct doomed){};
		bpf_sched_for_each(look_at, &found);
		if (found.link) {
			found.link->ops->detach(found.link);
			bpf_link_put(found.link);
		} else if (found.id) {
			bpf_sched_detach_id(found.id);
		}
	} while (found.link || found.id);
}

static void sysrq_bpf_sched_off(u8 key)
{
	WRITE_ONCE(bpf_sched_off, true);
	pr_info("sched_bpf: all policies are off\n");
}

static const struct sysrq_key_op sysrq_bpf_sched_op = {
	.handler	= sysrq_bpf_sched_off,
	.help_msg	= "bpf-sched-off(P)",
	.action_msg	= "Turn BPF policies of the fair class off",
	.enable_mask	= SYSRQ_ENABLE_RTNICE,
};

static int __init bpf_sched_setup(char *str)
{
	if (!strcmp(str, "off"))
		bpf_sched_off = true;
	else if (!strcmp(str, "on"))
		bpf_sched_off = false;
	else
		pr_err("sched_bpf: bpf_sched=%s: neither on nor off\n", str);

	return 1;
}
__setup("bpf_sched=", bpf_sched_setup);

static int __init bpf_sched_guard_init(void)
{
	return register_sysrq_key('P', &sysrq_bpf_sched_op);
}
late_initcall(bpf_sched_guard_init);
