// SPDX-License-Identifier: GPL-2.0
/*
 * What keeps a bad policy from doing harm, besides the bounds of its answers.
 *
 * - A switch turns all policies off at once: boot parameter, SysRq, debugfs. It is
 *   one store, and the questions look at it: no memory, no lock, no waiting.
 * - A policy that is overruled too often is reported, once, by name; if its flags
 *   say so, it is detached.
 * - A policy that is too slow is detached. How slow a single call can be is limited
 *   by the verifier, see struct_ops.c; this is for what remains.
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

/* Slow calls on one CPU, of those timed, before a policy is judged by them. */
#define MIN_SLOW_CALLS	16

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
	queue_work(system_wq, &reap_work);
}

/*
 * Count an answer that is not obeyed. If there are overruled_limit of them on this
 * CPU and they are more than half of the opinions that @policy had here, it does
 * not do what its author thinks.
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
	struct bpf_sched_counters *c = this_cpu_ptr(policy->counters + hook);
	u64 overruled = 0;
	int i;

	c->overruled[bound]++;
	trace_bpf_sched_overruled(&policy->handle, bpf_sched_hook_names[hook],
				  names[bound], answer);

	for (i = 0; i < BPF_SCHED_NR_BOUNDS; i++)
		overruled += c->overruled[i];
	if (overruled < READ_ONCE(bpf_sched_overruled_limit.val) ||
	    overruled * 2 <= c->negative + c->positive ||
	    test_and_set_bit(BPF_SCHED_REPORTED, &policy->due))
		return;

	policy->due_hook = hook;
	policy->due_bound = bound;
	set_bit(BPF_SCHED_DUE_REPORT, &policy->due);
	irq_work_queue(&reap_irq_work);
}

/*
 * Count the time of a call. If @sample, judge it: with MIN_SLOW_CALLS slow ones on
 * this CPU, more than half of those timed, @policy is too slow to be asked.
 *
 * Context: rq lock held.
 */
void bpf_sched_timed(struct bpf_sched_attachment *policy, enum bpf_sched_hook hook,
		     u64 ns, bool sample)
{
	struct bpf_sched_counters *c = this_cpu_ptr(policy->counters + hook);

	if (static_branch_unlikely(&bpf_stats_enabled_key)) {
		c->time_ns += ns;
		c->max_ns = max(c->max_ns, ns);
	}

	if (!sample || ns <= READ_ONCE(bpf_sched_max_call_ns.val))
		return;

	c->slow++;
	if (c->slow < MIN_SLOW_CALLS || c->slow * 2 <= c->calls / BPF_SCHED_TIMED_CALLS + 1 ||
	    test_and_set_bit(BPF_SCHED_DUE_EJECT, &policy->due))
		return;

	policy->due_hook = hook;
	irq_work_queue(&reap_irq_work);
}

static void report(struct bpf_sched_attachment *policy, const struct bpf_sched_ops *ops)
{
	static const char * const texts[] = {
#define BPF_SCHED_BOUND(bound, text) text,
		BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
	};
	bool detach = ops->flags & BPF_SCHED_F_DETACH_OVERRULED;
	const char *hook = bpf_sched_hook_names[policy->due_hook];

	if (test_and_clear_bit(BPF_SCHED_DUE_REPORT, &policy->due)) {
		pr_warn("sched_bpf: policy %s (id %u) is overruled too often: it %s, in %s%s\n",
			ops->name, policy->handle.id, texts[policy->due_bound], hook,
			detach ? "; detached" : "");
		if (detach)
			set_bit(BPF_SCHED_DETACH, &policy->due);
	}

	if (test_bit(BPF_SCHED_DUE_EJECT, &policy->due) &&
	    !test_and_set_bit(BPF_SCHED_DETACH, &policy->due))
		pr_warn("sched_bpf: policy %s (id %u) is too slow: most calls of %s take more than %llu ns; detached\n",
			ops->name, policy->handle.id, hook,
			READ_ONCE(bpf_sched_max_call_ns.val));
}

/* Get a reference to the link of a policy that is to be detached. */
static void look_at(void *arg, struct bpf_sched_attachment *policy,
		    const struct bpf_sched_ops *ops)
{
	struct bpf_link **found = arg, *link;

	report(policy, ops);
	if (*found)
		return;

	if (!test_bit(BPF_SCHED_DETACH, &policy->due) &&
	    !(policy->scope->cgrp && cgroup_is_dead(policy->scope->cgrp)))
		return;

	/* A link whose last reference is gone is being detached anyway. */
	link = bpf_link_inc_not_zero((struct bpf_link *)policy->link);
	if (!IS_ERR(link))
		*found = link;
}

static void reap(struct work_struct *work)
{
	struct bpf_link *link;

	/* One at a time: detaching takes the lock under which we look. */
	do {
		link = NULL;
		bpf_sched_for_each(look_at, &link);
		if (link) {
			link->ops->detach(link);
			bpf_link_put(link);
		}
	} while (link);
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
