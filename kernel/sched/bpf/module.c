// SPDX-License-Identifier: GPL-2.0
/* Kernel code as policies, for rust/sched_bpf/. */

#include <linux/bpf.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include "../sched.h"
#include "internal.h"

LIST_HEAD(bpf_sched_modules);

/* Serializes changes of the list. */
static DEFINE_MUTEX(modules_lock);

static bool is_registered(const struct bpf_sched_module *mod)
{
	const struct bpf_sched_module *other;

	list_for_each_entry(other, &bpf_sched_modules, node) {
		if (other == mod)
			return true;
	}

	return false;
}

/**
 * bpf_sched_register() - start to call the hooks of kernel code
 * @mod: the policy and its scope; the caller's, and unchanged, until
 *	 bpf_sched_unregister()
 *
 * Context: process context, sleeps.
 * Return: 0; -EBUSY if @mod is registered; -EINVAL if it has no hook, an unknown
 * flag, or a name that is empty or has other characters than that of a BPF object;
 * -ENOMEM.
 */
int bpf_sched_register(struct bpf_sched_module *mod)
{
	struct bpf_sched_ops *ops = &mod->ops;
	char name[BPF_SCHED_NAME_LEN];
	int ret;

	if (!bpf_sched_has_hook(ops) || (ops->flags & ~BPF_SCHED_F_ALL) ||
	    bpf_obj_name_cpy(name, ops->name, sizeof(name)) <= 0)
		return -EINVAL;

	guard(mutex)(&modules_lock);

	if (is_registered(mod))
		return -EBUSY;

	ret = bpf_sched_alloc_stats(ops);
	if (ret)
		return ret;

	ops->disabled = false;
	if (!mod->cgrp)
		mod->cgrp = &cgrp_dfl_root.cgrp;
	cgroup_get(mod->cgrp);
	list_add_tail_rcu(&mod->node, &bpf_sched_modules);
	static_branch_inc(&cgroup_bpf_enabled_key[CGROUP_SCHED_OPS]);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_register, "SCHED_BPF");

/**
 * bpf_sched_unregister() - stop calling the hooks of kernel code
 * @mod: what was registered
 *
 * On return no CPU is inside a hook, and none will be.
 *
 * Context: process context, sleeps for a grace period.
 */
void bpf_sched_unregister(struct bpf_sched_module *mod)
{
	scoped_guard(mutex, &modules_lock)
		list_del_rcu(&mod->node);

	static_branch_dec(&cgroup_bpf_enabled_key[CGROUP_SCHED_OPS]);
	/* Hooks are called in RCU read-side critical sections. */
	synchronize_rcu();
	bpf_sched_free_stats(&mod->ops);
	cgroup_put(mod->cgrp);
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_unregister, "SCHED_BPF");

#ifdef CONFIG_RUST_BPF_SCHED_KUNIT_TEST
void bpf_sched_test_hook(void (*fn)(void *arg), void *arg)
{
	struct rq_flags rf;
	struct rq *rq;

	rq = task_rq_lock(current, &rf);
	this_cpu_write(bpf_sched_rq, rq);
	update_rq_clock(rq);
	fn(arg);
	this_cpu_write(bpf_sched_rq, NULL);
	task_rq_unlock(rq, current, &rf);
}
#endif

static int modules_show(struct seq_file *seq, void *v)
{
	const struct bpf_sched_module *mod;

	guard(mutex)(&modules_lock);

	list_for_each_entry(mod, &bpf_sched_modules, node) {
		seq_printf(seq, "module:\t%s\ncgroup_id:\t%llu\n",
			   mod->owner ? module_name(mod->owner) : "-", cgroup_id(mod->cgrp));
		bpf_sched_show(&mod->ops, seq);
	}

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(modules);

static int __init bpf_sched_debugfs_init(void)
{
	struct dentry *sched = debugfs_lookup("sched", NULL);
	struct dentry *dir = debugfs_create_dir("bpf", sched);

	dput(sched);
	debugfs_create_file("modules", 0444, dir, NULL, &modules_fops);

	return 0;
}

/* After sched_init_debug(), a late_initcall() that makes the directory. */
late_initcall_sync(bpf_sched_debugfs_init);
