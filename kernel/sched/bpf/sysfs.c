// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/bpf_sched/: the switch, and what policies are held to. See
 * Documentation/ABI/testing/sysfs-kernel-bpf-sched.
 */

#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/sysfs.h>

#include "internal.h"

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", bpf_sched_is_on());
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

	if (val)
		bpf_sched_turn_on();
	else
		bpf_sched_turn_off();

	return count;
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);

static ssize_t knob_show(const struct bpf_sched_knob *knob, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(knob->val));
}

static ssize_t knob_store(struct bpf_sched_knob *knob, const char *buf, size_t count)
{
	u64 val;
	int ret;

	ret = kstrtou64(buf, 0, &val);
	if (ret)
		return ret;

	if (val < knob->min || val > knob->max)
		return -ERANGE;

	WRITE_ONCE(knob->val, val);

	return count;
}

#define KNOB(name)								\
static ssize_t name##_show(struct kobject *kobj, struct kobj_attribute *attr,	\
			   char *buf)						\
{										\
	return knob_show(&bpf_sched_##name, buf);				\
}										\
										\
static ssize_t name##_store(struct kobject *kobj, struct kobj_attribute *attr,	\
			    const char *buf, size_t count)			\
{										\
	return knob_store(&bpf_sched_##name, buf, count);			\
}										\
										\
static struct kobj_attribute name##_attr = __ATTR_RW(name)

KNOB(max_slice_ns);
KNOB(max_share);

static const struct attribute * const attrs[] = {
	&enabled_attr.attr,
	&max_slice_ns_attr.attr,
	&max_share_attr.attr,
	NULL
};

static int __init bpf_sched_sysfs_init(void)
{
	struct kobject *kobj = kobject_create_and_add("bpf_sched", kernel_kobj);
	int ret;

	if (!kobj)
		return -ENOMEM;

	ret = sysfs_create_files(kobj, attrs);
	if (ret)
		kobject_put(kobj);

	return ret;
}
late_initcall(bpf_sched_sysfs_init);
