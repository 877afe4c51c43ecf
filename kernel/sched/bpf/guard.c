// SPDX-License-Identifier: GPL-2.0
/*
 * What keeps a bad policy from doing harm, besides the bounds of its answers.
 *
 * - A switch turns all policies off at once: boot parameter, SysRq, sysfs. The
 *   questions look at it: no memory, no lock, no waiting.
 * - The time that all policies together take of a CPU is bounded as a share of each
 *   period. If it exceeds that, the one that took most is not asked any more, from
 *   that moment, since the CPUs may be too busy with it to run what detaches it; and
 *   so on until the rest fits. How long a single call can be is limited by the
 *   verifier, see struct_ops.c.
 */

#include <linux/filter.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/sysrq.h>

#include "internal.h"

struct bpf_sched_knob bpf_sched_max_slice_ns = {
	.val	= 100 * NSEC_PER_MSEC,
	.min	= 100 * NSEC_PER_USEC,
	.max	= 100 * NSEC_PER_MSEC,
};

struct bpf_sched_knob bpf_sched_max_share = {
	.val	= 20,
	.min	= 1,
	.max	= 50,
};

u64 bpf_sched_silent __read_mostly;

/* What it is made of: the switch, and who took too much time. */
static bool off;
static u64 slow;
static DEFINE_RAW_SPINLOCK(slow_lock);

/*
 * One call of so many is timed, on average, where they come so often that timing each
 * of them costs something: more often than about once in SAMPLE_NS.
 */
#define MAX_INTERVAL	256
#define SAMPLE_NS	NSEC_PER_MSEC

/* The period of which policies may take a share. */
#define PERIOD_NS	NSEC_PER_SEC

/*
 * A single call counts for no more than one of so many parts of what may be taken in
 * a period: a CPU that a hypervisor stops in a timed call is no fault of the policy.
 */
#define MIN_SAMPLES	4

/**
 * struct budget - what policies took of a CPU in this period
 * @begin: clock of its first timed call
 * @total: nanoseconds that all took, as estimated from the timed calls
 * @taken: by policy, by index
 * @version: of the answers that did
 */
struct budget {
	u64 begin;
	u64 total;
	u64 taken[BPF_SCHED_MAX_POLICIES];
	u32 version[BPF_SCHED_MAX_POLICIES];
};

static DEFINE_PER_CPU(struct budget, budgets);

/* The version of the answers that were found to be slow, by index. */
static u32 slow_version[BPF_SCHED_MAX_POLICIES];

/* Not that of bpf_get_prandom_u32(): from whose numbers the next can be computed. */
static DEFINE_PER_CPU(struct rnd_state, sample_rnd);

/* Choose which call is the next to be timed, by nothing that a program could foresee. */
static void next_sample(struct bpf_sched_counters *c, u64 now)
{
	u32 interval = c->interval;

	if (now - c->sampled_ns < SAMPLE_NS)
		interval = min(2 * interval, MAX_INTERVAL);
	else
		interval = interval / 2;
	interval = max(interval, 1);

	/* Between 1 and 2 * interval - 1, which is @interval on average. */
	c->interval = interval;
	c->countdown = 1 + prandom_u32_state(this_cpu_ptr(&sample_rnd)) % (2 * interval - 1);
	c->calls += c->countdown;
	c->sampled_ns = now;
}

static void be_silent(void)
{
	WRITE_ONCE(bpf_sched_silent, slow);
	/* The switch is turned without the lock: pairs with bpf_sched_turn_off(). */
	smp_mb();
	if (READ_ONCE(off))
		WRITE_ONCE(bpf_sched_silent, ~0ULL);
}

/* Ask nobody. Two stores: also when the machine is in a bad way. */
void bpf_sched_turn_off(void)
{
	WRITE_ONCE(off, true);
	/* Pairs with that of be_silent(): it sees the switch, or is seen no more. */
	smp_mb();
	WRITE_ONCE(bpf_sched_silent, ~0ULL);
}

void bpf_sched_turn_on(void)
{
	guard(raw_spinlock_irqsave)(&slow_lock);

	WRITE_ONCE(off, false);
	be_silent();
}

bool bpf_sched_is_on(void)
{
	return !READ_ONCE(off);
}

/* The policy of @index took most of the time of this CPU: do not ask it any more. */
static void found_slow(unsigned int index, u32 version)
{
	guard(raw_spinlock)(&slow_lock);

	if (slow & BIT_ULL(index))
		return;
	slow_version[index] = version;
	slow |= BIT_ULL(index);
	be_silent();
	irq_work_queue(&bpf_sched_reap);
}

/*
 * A call took from @start to @end. It is the one that was chosen, or is timed for
 * kernel.bpf_stats_enabled only.
 *
 * Context: rq lock held.
 */
void bpf_sched_timed(const struct bpf_sched_call *call, struct bpf_sched_counters *c,
		     u64 start, u64 end)
{
	u64 limit = READ_ONCE(bpf_sched_max_share.val) * (PERIOD_NS / 100);
	struct budget *budget = this_cpu_ptr(&budgets);
	unsigned int index = __ffs64(call->bit), worst = index, i;
	u32 weight = max(c->interval, 1);
	u64 ns = end - start;

	if (static_branch_unlikely(&bpf_stats_enabled_key)) {
		c->time_ns += ns;
		c->max_ns = max(c->max_ns, ns);
	}
	if (c->countdown)
		return;

	next_sample(c, end);
	c->timed++;
	if (end - budget->begin >= PERIOD_NS) {
		memset(budget, 0, sizeof(*budget));
		budget->begin = end;
	}
	if (budget->version[index] != call->version) {
		budget->total -= budget->taken[index];
		budget->taken[index] = 0;
		budget->version[index] = call->version;
	}

	ns = min(ns * weight, div_u64(limit, MIN_SAMPLES));
	budget->taken[index] += ns;
	budget->total += ns;
	if (likely(budget->total <= limit))
		return;

	for (i = 0; i < BPF_SCHED_MAX_POLICIES; i++) {
		if (budget->taken[i] > budget->taken[worst])
			worst = i;
	}
	found_slow(worst, budget->version[worst]);
	budget->total -= budget->taken[worst];
	budget->taken[worst] = 0;
}

/* Are the present answers of @policy those that were found to take too much time? */
bool bpf_sched_is_slow(const struct bpf_sched_attachment *policy)
{
	guard(raw_spinlock_irqsave)(&slow_lock);

	return (slow & BIT_ULL(policy->index)) &&
	       slow_version[policy->index] == policy->version;
}

/*
 * What was found of the index of @policy was found of answers that nobody is inside
 * any more: they were replaced, or those of another policy.
 */
void bpf_sched_acquit(const struct bpf_sched_attachment *policy)
{
	guard(raw_spinlock_irqsave)(&slow_lock);

	slow &= ~BIT_ULL(policy->index);
	be_silent();
}

static void sysrq_bpf_sched_off(u8 key)
{
	bpf_sched_turn_off();
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
		bpf_sched_turn_off();
	else if (!strcmp(str, "on"))
		bpf_sched_turn_on();
	else
		pr_err("sched_bpf: bpf_sched=%s: neither on nor off\n", str);

	return 1;
}
__setup("bpf_sched=", bpf_sched_setup);

static int __init bpf_sched_guard_init(void)
{
	prandom_seed_full_state(&sample_rnd);

	return register_sysrq_key('P', &sysrq_bpf_sched_op);
}
core_initcall(bpf_sched_guard_init);
