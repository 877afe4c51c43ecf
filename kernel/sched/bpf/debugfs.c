// SPDX-License-Identifier: GPL-2.0
/*
 * <debugfs>/sched/bpf/: what policies answered, and the bounds they are held to.
 *
 * policies	a line for each policy and hook that it answers, in the order of
 *		asking: id, name, hook, calls, negative, zero, positive, overruled
 * max_hold_ns	how long "keep running" may hold a CPU, in nanoseconds
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/seq_file.h>
#include <linux/time64.h>

#include "internal.h"

static void show_hook(void *arg, u32 id, const char *policy, const char *hook,
		      const struct bpf_sched_counters *sum)
{
	seq_printf(arg, "%u %s %s %llu %llu %llu %llu %llu\n", id, policy, hook,
		   sum->calls, sum->negative, sum->zero, sum->positive, sum->overruled);
}

static int policies_show(struct seq_file *m, void *v)
{
	seq_puts(m, "id name hook calls negative zero positive overruled\n");
	bpf_sched_for_each(show_hook, m);

	return 0;
}

DEFINE_SHOW_ATTRIBUTE(policies);

static int max_hold_ns_get(void *data, u64 *val)
{
	*val = READ_ONCE(bpf_sched_max_hold_ns);

	return 0;
}

static int max_hold_ns_set(void *data, u64 val)
{
	if (val < BPF_SCHED_MAX_HOLD_NS_MIN || val > BPF_SCHED_MAX_HOLD_NS_MAX)
		return -ERANGE;

	WRITE_ONCE(bpf_sched_max_hold_ns, val);

	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(max_hold_ns_fops, max_hold_ns_get, max_hold_ns_set, "%llu\n");

static int __init bpf_sched_debugfs_init(void)
{
	struct dentry *sched = debugfs_lookup("sched", NULL);
	struct dentry *dir = debugfs_create_dir("bpf", sched);

	dput(sched);
	debugfs_create_file("policies", 0444, dir, NULL, &policies_fops);
	debugfs_create_file("max_hold_ns", 0644, dir, NULL, &max_hold_ns_fops);

	return 0;
}

/* After sched_init_debug(), a late_initcall() that makes the directory. */
late_initcall_sync(bpf_sched_debugfs_init);
