// SPDX-License-Identifier: GPL-2.0
/*
 * The kill switch, the tunables and the time budget.
 *
 * The first call of a hook on a CPU in each jiffy is timed. The calls until the
 * next timed one count as the shorter of the two latest times, so that a CPU that a
 * hypervisor stopped once is not taken for a slow policy.
 */

#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/sched/clock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/sysrq.h>

#include "../sched.h"
#include "internal.h"

bool bpf_sched_on __read_mostly = true;

/* The percentage of the time of a CPU that a policy may take. */
static u64 max_share = 20;

static noinline void disable(const struct bpf_sched_ops *ops)
{
	WRITE_ONCE(((struct bpf_sched_ops *)ops)->disabled, true);
	/* printk() may take the rq lock. */
	printk_deferred(KERN_WARNING "sched_bpf: policy %s took more than %llu percent of CPU %d: disabled\n",
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
	u64 rate = READ_ONCE(max_share) * (NSEC_PER_SEC / 100), limit = rate / 2;
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

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(bpf_sched_on));
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	u64 val;
	int ret;

	ret = kstrtou64(buf, 0, &val);
	if (ret)
		return ret;
	if (val > 1)
		return -ERANGE;

	WRITE_ONCE(bpf_sched_on, val);

	return count;
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);

static ssize_t store_range(u64 *knob, u64 min, u64 max, const char *buf, size_t count)
{
	u64 val;
	int ret;

	ret = kstrtou64(buf, 0, &val);
	if (ret)
		return ret;
	if (val < min || val > max)
		return -ERANGE;

	WRITE_ONCE(*knob, val);

	return count;
}

static ssize_t max_slice_ns_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(bpf_sched_max_slice_ns));
}

static ssize_t max_slice_ns_store(struct kobject *kobj, struct kobj_attribute *attr,
				  const char *buf, size_t count)
{
	return store_range(&bpf_sched_max_slice_ns, BPF_SCHED_MIN_SLICE_NS,
			   100 * NSEC_PER_MSEC, buf, count);
}

static struct kobj_attribute max_slice_ns_attr = __ATTR_RW(max_slice_ns);

static ssize_t max_share_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(max_share));
}

static ssize_t max_share_store(struct kobject *kobj, struct kobj_attribute *attr,
			       const char *buf, size_t count)
{
	return store_range(&max_share, 1, 50, buf, count);
}

static struct kobj_attribute max_share_attr = __ATTR_RW(max_share);

static const struct attribute * const attrs[] = {
	&enabled_attr.attr,
	&max_slice_ns_attr.attr,
	&max_share_attr.attr,
	NULL
};

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

static int __init bpf_sched_setup(char *str)
{
	if (kstrtobool(str, &bpf_sched_on))
		pr_err("sched_bpf: bpf_sched=%s: neither on nor off\n", str);

	return 1;
}
__setup("bpf_sched=", bpf_sched_setup);

static int __init bpf_sched_guard_init(void)
{
	struct kobject *kobj = kobject_create_and_add("bpf_sched", kernel_kobj);
	int ret;

	if (!kobj)
		return -ENOMEM;

	ret = sysfs_create_files(kobj, attrs);
	if (ret) {
		kobject_put(kobj);
		return ret;
	}

	return register_sysrq_key('P', &sysrq_bpf_sched_op);
}
late_initcall(bpf_sched_guard_init);
