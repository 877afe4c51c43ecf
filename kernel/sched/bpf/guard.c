// SPDX-License-Identifier: GPL-2.0
/*
 * The kill switch and the time budget.
 *
 * The first call of a hook on a CPU in each jiffy is timed. The calls until the
 * next timed one count as the shorter of the two latest times, so that a CPU that a
 * hypervisor stopped once is not taken for a slow policy.
 */

#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/sched/clock.h>
#include <linux/sysrq.h>

#include "../sched.h"
#include "internal.h"

bool bpf_sched_on __read_mostly = true;

/* The percentage of the time of a CPU that a policy may take. */
static unsigned int max_share = 20;

static noinline void disable(const struct bpf_sched_ops *ops)
{
	WRITE_ONCE(((struct bpf_sched_ops *)ops)->disabled, true);
	/* printk() may take the rq lock. */
	printk_deferred(KERN_WARNING "sched_bpf: policy %s took more than %u percent of CPU %d: disabled\n",
			ops->name, READ_ONCE(max_share), smp_processor_id());
}

/*
 * Account a call of a hook of @ops that began at @start. What a policy takes beyond
 * its share adds up. It is disabled when that is the share of half a second, or by two
 * timed calls of a hook in a row that each take the share of a quarter.
 *
 * Context: interrupts are off.
 */
void bpf_sched_timed(const struct bpf_sched_ops *ops, struct bpf_sched_counters *c, u64 start)
{
	u64 rate = (u64)READ_ONCE(max_share) * (NSEC_PER_SEC / 100), limit = rate / 2;
	struct bpf_sched_budget *budget = &this_cpu_ptr(ops->stats)->budget;
	u64 now = local_clock(), ns = now - start, steady_ns, steady, earned;

	steady_ns = min(ns, c->timed_ns);
	steady = steady_ns * (c->calls - c->timed_calls - 1);
	/* After a long call jiffies may stand still: time the next one too. */
	c->timed_jiffy = ns < TICK_NSEC ? jiffies : jiffies - 1;
	c->timed_calls = c->calls;
	c->timed_ns = ns;

	earned = mul_u64_u64_div_u64(min(now - budget->since, NSEC_PER_SEC), rate, NSEC_PER_SEC);
	budget->since = now;
	budget->taken -= min(budget->taken, earned);
	budget->taken += min(ns, limit / 2) + steady;
	if ((budget->taken > limit || steady_ns >= limit / 2) && !READ_ONCE(ops->disabled))
		disable(ops);
}

static int set_max_share(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 1, 50);
}

static const struct kernel_param_ops max_share_ops = {
	.set = set_max_share,
	.get = param_get_uint,
};

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX	"bpf_sched."
module_param_named(enabled, bpf_sched_on, bool, 0644);
module_param_cb(max_share, &max_share_ops, &max_share, 0644);

static void sysrq_bpf_sched_off(u8 key)
{
	WRITE_ONCE(bpf_sched_on, false);
	pr_info("sched_bpf: all policies are off\n");
}

static const struct sysrq_key_op sysrq_bpf_sched_op = {
	.handler	= sysrq_bpf_sched_off,
	.help_msg	= "bpf-sched-off(P)",
	.action_msg	= "Turn BPF policies of the fair class off",
	.enable_mask	= SYSRQ_ENABLE_RTNICE,
};

static int __init bpf_sched_guard_init(void)
{
	return register_sysrq_key('P', &sysrq_bpf_sched_op);
}
late_initcall(bpf_sched_guard_init);
