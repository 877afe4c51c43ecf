// SPDX-License-Identifier: GPL-2.0
/*
 * The struct_ops type: BPF programs as policies. The cgroup code attaches them.
 */

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/init.h>
#include <linux/printk.h>

#include "../sched.h"
#include "internal.h"

static const struct bpf_verifier_ops verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= bpf_tracing_btf_ctx_access,
};

static int init(struct btf *btf)
{
	BTF_TYPE_EMIT_ENUM(BPF_SCHED_F_SHADOW);
	BTF_TYPE_EMIT_ENUM(BPF_SCHED_PASS);
	BTF_TYPE_EMIT_ENUM(BPF_SCHED_WAKE_FORK);

	return 0;
}

static int check_member(const struct btf_type *t, const struct btf_member *member,
			const struct bpf_prog *prog)
{
	/* Hooks run with the rq lock held. */
	if (prog->sleepable)
		return -EINVAL;

	/* Policies act on tasks outside of the token's user namespace too. */
	if (prog->aux->token)
		return -EPERM;

	return 0;
}

static int init_member(const struct btf_type *t, const struct btf_member *member,
		       void *kdata, const void *udata)
{
	const struct bpf_sched_ops *uops = udata;
	struct bpf_sched_ops *ops = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct bpf_sched_ops, flags):
		if (uops->flags & ~BPF_SCHED_F_ALL)
			return -EINVAL;
		ops->flags = uops->flags;
		return 1;
	case offsetof(struct bpf_sched_ops, name):
		if (bpf_obj_name_cpy(ops->name, uops->name, sizeof(ops->name)) <= 0)
			return -EINVAL;
		return 1;
	}

	return 0;
}

/*
 * Hooks run with interrupts off and in RCU, so that most of what the trampoline does is
 * needless. One with a private stack has to find out whether it runs already.
 */
static bool can_run_directly(const struct bpf_prog *prog)
{
	return IS_ENABLED(CONFIG_64BIT) && prog && !prog->aux->priv_stack_requested;
}

static int validate(void *kdata)
{
	struct bpf_sched_ops *ops = kdata;
	const struct bpf_prog *prog;
	unsigned int hook;
	int cpu, ret;

	ret = bpf_sched_alloc_stats(ops);
	if (ret)
		return ret;

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		prog = bpf_struct_ops_prog(kdata, hook);
		if (!can_run_directly(prog))
			continue;
		for_each_possible_cpu(cpu)
			per_cpu_ptr(ops->stats, cpu)->hooks[hook].prog = prog;
	}

	return 0;
}

static void release(void *kdata)
{
	bpf_sched_free_stats(kdata);
}

static void show_fdinfo(const void *kdata, struct seq_file *seq)
{
	bpf_sched_show(kdata, seq);
}

/* CFI types of the members, and which of them BPF programs can implement. */
static int cfs_check_preempt_wakeup_stub(struct task_struct *curr, struct task_struct *p,
					 u64 wake_flags, struct cgroup *cgrp)
{
	return 0;
}

static int cfs_wakeup_preempt_entity_stub(struct sched_entity *curr, struct sched_entity *se,
					  struct cgroup *cgrp)
{
	return 0;
}

static int cfs_slice_stub(struct sched_entity *se, u64 slice, struct cgroup *cgrp)
{
	return 0;
}

static int cfs_check_preempt_tick_stub(struct sched_entity *curr, unsigned long delta_exec,
				       struct cgroup *cgrp)
{
	return 0;
}

static int cfs_select_cpu_stub(struct task_struct *p, u64 prev_cpu, u64 wake_flags,
			       u64 stock_cpu, struct cgroup *cgrp)
{
	return 0;
}

static int cfs_can_migrate_stub(struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot,
				struct cgroup *cgrp)
{
	return 0;
}

static struct bpf_sched_ops stubs = {
	.cfs_check_preempt_wakeup	= cfs_check_preempt_wakeup_stub,
	.cfs_wakeup_preempt_entity	= cfs_wakeup_preempt_entity_stub,
	.cfs_slice			= cfs_slice_stub,
	.cfs_check_preempt_tick		= cfs_check_preempt_tick_stub,
	.cfs_select_cpu			= cfs_select_cpu_stub,
	.cfs_can_migrate		= cfs_can_migrate_stub,
};

struct bpf_struct_ops bpf_bpf_sched_ops = {
	.verifier_ops	= &verifier_ops,
	.init		= init,
	.check_member	= check_member,
	.init_member	= init_member,
	.validate	= validate,
	.release	= release,
	.show_fdinfo	= show_fdinfo,
	.cgroup_atype	= CGROUP_SCHED_OPS,
	.cfi_stubs	= &stubs,
	.name		= "bpf_sched_ops",
	.owner		= THIS_MODULE,
};

static int __init bpf_sched_init(void)
{
	int ret;

	ret = register_bpf_struct_ops(&bpf_bpf_sched_ops, bpf_sched_ops);
	if (ret)
		pr_err("sched_bpf: cannot register struct bpf_sched_ops: %d\n", ret);

	return ret;
}
late_initcall(bpf_sched_init);
