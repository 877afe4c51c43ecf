// SPDX-License-Identifier: GPL-2.0
/*
 * What policies were asked and what they answered.
 *
 * The fdinfo of a link tells it of the policy that the link keeps attached, in a line
 * for each hook. Two tables in <debugfs>/sched/bpf/ have it for all policies, those of
 * kernel code included; their first line names the columns; others may be added.
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
 */

#include <linux/bpf.h>
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

/* The present answers of @policy. */
static const struct bpf_sched_answers *present(const struct bpf_sched_attachment *policy)
{
	return &policy->answers[bpf_sched_published];
}

static u32 prog_id(const struct bpf_sched_attachment *policy, enum bpf_sched_hook hook)
{
	const struct bpf_prog *prog = present(policy)->calls[hook].prog;

	return prog ? prog->aux->id : 0;
}

static void show_policy(void *arg, struct bpf_sched_attachment *policy,
			const struct bpf_sched_ops *ops)
{
	const struct bpf_link *link = policy->link;
	const struct bpf_sched_policy *handle = bpf_sched_handle(policy);
	const char *module = "-";

	if (policy->registration && policy->registration->owner)
		module = module_name(policy->registration->owner);

	seq_printf(arg, "%u %s %s %u %u %llu %u %d %llu %llu %s\n", handle->id, ops->name,
		   link ? "bpf" : "module", link ? link->id : 0,
		   link ? bpf_struct_ops_id(ops) : 0, handle->cgroup_id,
		   position(policy), policy->preorder, ops->flags, policy->attached_ns, module);
}

static int policies_show(struct seq_file *m, void *v)
{
	seq_puts(m, "id name provider link map cgroup position preorder flags attached_ns module\n");
	bpf_sched_for_each(show_policy, m);

	return 0;
}

DEFINE_SHOW_ATTRIBUTE(policies);

/*
 * What @policy answered to @hook, summed over all CPUs. A call that is going on may
 * be counted as an answer of no opinion, and while a CPU chooses the next call to be
 * timed, some of those of the last millisecond may not be counted yet.
 */
static struct bpf_sched_counters sum(const struct bpf_sched_attachment *policy,
				     enum bpf_sched_hook hook)
{
	struct bpf_sched_counters sum = {};
	enum bpf_sched_bound bound;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct bpf_sched_counters *c = per_cpu_ptr(policy->counters + hook, cpu);

		sum.calls += READ_ONCE(c->calls) - READ_ONCE(c->countdown);
		sum.negative += READ_ONCE(c->negative);
		sum.positive += READ_ONCE(c->positive);
		for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
			sum.overruled[bound] += READ_ONCE(c->overruled[bound]);
		sum.differ += READ_ONCE(c->differ);
		sum.timed += READ_ONCE(c->timed);
		sum.time_ns += READ_ONCE(c->time_ns);
		sum.max_ns = max(sum.max_ns, READ_ONCE(c->max_ns));
	}
	sum.calls = max(sum.calls, sum.negative + sum.positive);

	return sum;
}

static void show_counters(void *arg, struct bpf_sched_attachment *policy,
			  const struct bpf_sched_ops *ops)
{
	enum bpf_sched_bound bound;
	enum bpf_sched_hook hook;

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		struct bpf_sched_counters c;
		u64 overruled = 0;

		if (!bpf_sched_has_answer(ops, hook))
			continue;

		c = sum(policy, hook);
		seq_printf(arg, "%u %s %s %u %llu %llu %llu %llu",
			   bpf_sched_handle(policy)->id, ops->name,
			   bpf_sched_hook_names[hook], prog_id(policy, hook),
			   c.calls, c.negative, c.calls - c.negative - c.positive, c.positive);
		for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
			overruled += c.overruled[bound];
		seq_printf(arg, " %llu", overruled);
		for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
			seq_printf(arg, " %llu", c.overruled[bound]);
		seq_printf(arg, " %llu %llu %llu %llu\n", c.differ, c.timed, c.time_ns, c.max_ns);
	}
}

static int counters_show(struct seq_file *m, void *v)
{
	enum bpf_sched_bound bound;

	seq_puts(m, "id name hook prog calls negative zero positive overruled");
	for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
		seq_printf(m, " overruled_%s", bpf_sched_bound_names[bound]);
	seq_puts(m, " differ timed time_ns max_ns\n");
	bpf_sched_for_each(show_counters, m);

	return 0;
}

DEFINE_SHOW_ATTRIBUTE(counters);

struct fdinfo {
	const struct bpf_link *link;
	struct seq_file *m;
};

static void show_fdinfo(void *arg, struct bpf_sched_attachment *policy,
			const struct bpf_sched_ops *ops)
{
	const struct fdinfo *fdinfo = arg;
	struct seq_file *m = fdinfo->m;
	enum bpf_sched_bound bound;
	enum bpf_sched_hook hook;

	if (policy->link != fdinfo->link)
		return;

	seq_printf(m, "policy:\t%u %s\n", bpf_sched_handle(policy)->id, ops->name);
	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		struct bpf_sched_counters c;

		if (!bpf_sched_has_answer(ops, hook))
			continue;

		c = sum(policy, hook);
		seq_printf(m, "%s:\tcalls %llu negative %llu positive %llu",
			   bpf_sched_hook_names[hook], c.calls, c.negative, c.positive);
		for (bound = 0; bound < BPF_SCHED_NR_BOUNDS; bound++)
			seq_printf(m, " overruled_%s %llu", bpf_sched_bound_names[bound],
				   c.overruled[bound]);
		seq_printf(m, " differ %llu timed %llu time_ns %llu max_ns %llu\n",
			   c.differ, c.timed, c.time_ns, c.max_ns);
	}
}

/* What is known of the policy of @link: nothing, if it has been detached. */
void bpf_sched_show_fdinfo(const struct bpf_link *link, struct seq_file *m)
{
	struct fdinfo fdinfo = { .link = link, .m = m };

	bpf_sched_for_each(show_fdinfo, &fdinfo);
}

static int __init bpf_sched_debugfs_init(void)
{
	struct dentry *sched = debugfs_lookup("sched", NULL);
	struct dentry *dir = debugfs_create_dir("bpf", sched);

	dput(sched);
	debugfs_create_file("policies", 0444, dir, NULL, &policies_fops);
	debugfs_create_file("counters", 0444, dir, NULL, &counters_fops);

	return 0;
}

/* After sched_init_debug(), a late_initcall() that makes the directory. */
late_initcall_sync(bpf_sched_debugfs_init);
