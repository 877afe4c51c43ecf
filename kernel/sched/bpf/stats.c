// SPDX-License-Identifier: GPL-2.0
/*
 * <debugfs>/sched/bpf/: the policies, what they answered, and what they are held
 * to. The first line of a table names its columns; others may be added.
 *
 * policies	a line for each policy, by age:
 *		id	of the attachment
 *		name	of the policy
 *		provider	of its answers: bpf, or module for kernel code
 *		link, map	ids of the BPF objects, or 0
 *		cgroup	id of the cgroup that it is attached to, or 0
 *		position	among the policies attached there, from 0
 *		preorder	1 if attached with BPF_F_PREORDER
 *		flags	of struct bpf_sched_ops
 *		attached_ns	boot time of its attachment
 *		module	that provides it, or - if none does
 * counters	a line for each policy and hook that it answers: the policy's id and
 *		name, the hook, the id of the BPF program, and the sums of struct
 *		bpf_sched_counters, overruled in all and by bound
 * enabled	0: no policy is asked or obeyed; 1: they are
 * <knob>	see guard.c
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "internal.h"

static unsigned int position(const struct bpf_sched_attachment *policy)
{
	const struct bpf_sched_attachment *p;
	unsigned int n = 0;

	list_for_each_entry(p, &policy->scope->policies, node) {
		if (p == policy)
			break;
		n++;
	}

	return n;
}

static void show_policy(void *arg, struct bpf_sched_attachment *policy,
			const struct bpf_sched_ops *ops)
{
	struct bpf_sched_bpf_ids ids = bpf_sched_bpf_ids(policy, ops);
	const struct bpf_sched_policy *handle = bpf_sched_handle(policy);
	const char *module = "-";

	if (policy->registration && policy->registration->owner)
		module = module_name(policy->registration->owner);

	seq_printf(arg, "%u %s %s %u %u %llu %u %d %llu %llu %s\n", handle->id, ops->name,
		   policy->link ? "bpf" : "module", ids.link, ids.map, handle->cgroup_id,
		   position(policy), policy->preorder, ops->flags, policy->attached_ns, module);
}

static int policies_show(struct seq_file *m, void *v)
{
	seq_puts(m, "id name provider link map cgroup position preorder flags attached_ns module\n");
	bpf_sched_for_each(show_policy, m);

	return 0;
}

DEFINE_SHOW_ATTRIBUTE(policies);

static void show_counters(void *arg, struct bpf_sched_attachment *policy,
			  const struct bpf_sched_ops *ops)
{
	struct bpf_sched_bpf_ids ids = bpf_sched_bpf_ids(policy, ops);
	struct bpf_sched_counters sum;
	enum bpf_sched_bound bound;
	enum bpf_sched_hook hook;

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		u64 overruled = 0;

		if (!bpf_sched_has_answer(ops, hook))
			continue;

		sum = bpf_sched_sum(policy, hook);
		seq_printf(arg, "%u %s %s %u %llu %llu %llu %llu",
			   bpf_sched_handle(policy)->id, ops->name,
			   bpf_sched_hook_names[hook], ids.prog[hook], sum.calls,
			   sum.negative, sum.zero, sum.positive);
		for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
			overruled += sum.overruled[bound];
		seq_printf(arg, " %llu", overruled);
		for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
			seq_printf(arg, " %llu", sum.overruled[bound]);
		seq_printf(arg, " %llu %llu %llu %llu\n", sum.differ, sum.slow, sum.time_ns,
			   sum.max_ns);
	}
}

static int counters_show(struct seq_file *m, void *v)
{
	seq_puts(m, "id name hook prog calls negative zero positive overruled");
#define BPF_SCHED_BOUND(bound, text) seq_puts(m, " overruled_" #bound);
	BPF_SCHED_BOUNDS
#undef BPF_SCHED_BOUND
	seq_puts(m, " differ slow time_ns max_ns\n");
	bpf_sched_for_each(show_counters, m);

	return 0;
}

DEFINE_SHOW_ATTRIBUTE(counters);

static int enabled_get(void *data, u64 *val)
{
	*val = !READ_ONCE(bpf_sched_off);

	return 0;
}

static int enabled_set(void *data, u64 val)
{
	if (val > 1)
		return -ERANGE;

	WRITE_ONCE(bpf_sched_off, !val);

	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(enabled_fops, enabled_get, enabled_set, "%llu\n");

static int knob_get(void *data, u64 *val)
{
	struct bpf_sched_knob *knob = data;

	*val = READ_ONCE(knob->val);

	return 0;
}

static int knob_set(void *data, u64 val)
{
	struct bpf_sched_knob *knob = data;

	if (val < knob->min || val > knob->max)
		return -ERANGE;

	WRITE_ONCE(knob->val, val);

	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(knob_fops, knob_get, knob_set, "%llu\n");

static struct bpf_sched_knob * const knobs[] = {
	&bpf_sched_max_hold_ns,
	&bpf_sched_max_call_ns,
	&bpf_sched_overruled_limit,
};

static int __init bpf_sched_debugfs_init(void)
{
	struct dentry *sched = debugfs_lookup("sched", NULL);
	struct dentry *dir = debugfs_create_dir("bpf", sched);
	int i;

	dput(sched);
	debugfs_create_file("policies", 0444, dir, NULL, &policies_fops);
	debugfs_create_file("counters", 0444, dir, NULL, &counters_fops);
	debugfs_create_file("enabled", 0644, dir, NULL, &enabled_fops);
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		debugfs_create_file(knobs[i]->name, 0644, dir, knobs[i], &knob_fops);

	return 0;
}

/* After sched_init_debug(), a late_initcall() that makes the directory. */
late_initcall_sync(bpf_sched_debugfs_init);
