// SPDX-License-Identifier: GPL-2.0
/* What is counted of each policy, and how it is shown: in the fdinfo of its links. */

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/stddef.h>

#include "../sched.h"
#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/bpf_sched.h>

static const char * const reason_names[] = {
	[BPF_SCHED_KTHREAD]	= "kthread",
	[BPF_SCHED_ELIGIBLE]	= "eligible",
	[BPF_SCHED_SLICE]	= "slice",
	[BPF_SCHED_SHORT]	= "short",
	[BPF_SCHED_CUSTOM]	= "custom",
	[BPF_SCHED_CPU]		= "cpu",
	[BPF_SCHED_BALANCE]	= "balance",
};

static_assert(ARRAY_SIZE(reason_names) == BPF_SCHED_NR_REASONS);

/**
 * struct hook_desc - how a hook is shown
 * @name: of the member
 * @reasons: mask of the reasons for which its results are rejected
 */
struct hook_desc {
	const char *name;
	unsigned long reasons;
};

#define HOOK(op, reasons)	[BPF_SCHED_HOOK(op)] = { #op, reasons }
#define REASONS_WAKEUP		(BIT(BPF_SCHED_KTHREAD) | BIT(BPF_SCHED_ELIGIBLE))
#define REASONS_TICK		(BIT(BPF_SCHED_KTHREAD) | BIT(BPF_SCHED_SLICE) |	\
				 BIT(BPF_SCHED_SHORT) | BIT(BPF_SCHED_CUSTOM))

static const struct hook_desc hooks[] = {
	HOOK(cfs_check_preempt_wakeup, REASONS_WAKEUP),
	HOOK(cfs_wakeup_preempt_entity, REASONS_WAKEUP),
	HOOK(cfs_slice, BIT(BPF_SCHED_SLICE)),
	HOOK(cfs_check_preempt_tick, REASONS_TICK),
	HOOK(cfs_select_cpu, BIT(BPF_SCHED_CPU)),
	HOOK(cfs_can_migrate, BIT(BPF_SCHED_CPU) | BIT(BPF_SCHED_BALANCE)),
};

static_assert(ARRAY_SIZE(hooks) == BPF_SCHED_NR_HOOKS);

int bpf_sched_alloc_stats(struct bpf_sched_ops *ops)
{
	ops->stats = alloc_percpu(struct bpf_sched_stats);

	return ops->stats ? 0 : -ENOMEM;
}

void bpf_sched_free_stats(struct bpf_sched_ops *ops)
{
	free_percpu(ops->stats);
}

/*
 * Count a result that is rejected for @reason. Return true if the default is kept
 * for that, false if the next policy is called, as after a policy in shadow mode.
 */
bool bpf_sched_reject(const struct bpf_sched_ops *ops, unsigned int hook,
		      enum bpf_sched_reason reason, int ret)
{
	bpf_sched_counters(ops, hook)->rejected[reason]++;
	trace_bpf_sched_rejected(ops, hooks[hook].name, reason_names[reason], ret);

	return !(ops->flags & BPF_SCHED_F_SHADOW);
}

static struct bpf_sched_counters sum_counters(const struct bpf_sched_ops *ops,
					      unsigned int hook)
{
	const struct bpf_sched_counters *c;
	struct bpf_sched_counters sum = {};
	enum bpf_sched_reason reason;
	int cpu;

	for_each_possible_cpu(cpu) {
		c = &per_cpu_ptr(ops->stats, cpu)->hooks[hook];
		sum.calls += c->calls;
		sum.negative += c->negative;
		sum.positive += c->positive;
		for (reason = 0; reason < BPF_SCHED_NR_REASONS; reason++)
			sum.rejected[reason] += c->rejected[reason];
		sum.differ += c->differ;
	}

	return sum;
}

static bool has_hook(const struct bpf_sched_ops *ops, unsigned int hook)
{
	return ((void **)ops)[hook];
}

/* Return true if @ops have any hook. */
bool bpf_sched_has_hook(const struct bpf_sched_ops *ops)
{
	unsigned int hook;

	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		if (has_hook(ops, hook))
			return true;
	}

	return false;
}

static const char *state_name(const struct bpf_sched_ops *ops)
{
	if (READ_ONCE(ops->disabled))
		return "disabled";

	return ops->flags & BPF_SCHED_F_SHADOW ? "shadow" : "enabled";
}

/**
 * bpf_sched_show() - show the name, the state and the counters of a policy
 * @ops: the policy
 * @seq: where to
 */
void bpf_sched_show(const struct bpf_sched_ops *ops, struct seq_file *seq)
{
	enum bpf_sched_reason reason;
	unsigned int hook;

	seq_printf(seq, "policy:\t%s\nstate:\t%s\n", ops->name, state_name(ops));
	for (hook = 0; hook < BPF_SCHED_NR_HOOKS; hook++) {
		struct bpf_sched_counters c;

		if (!has_hook(ops, hook))
			continue;

		c = sum_counters(ops, hook);
		seq_printf(seq, "%s:\tcalls %llu negative %llu positive %llu",
			   hooks[hook].name, c.calls, c.negative, c.positive);
		for_each_set_bit(reason, &hooks[hook].reasons, BPF_SCHED_NR_REASONS)
			seq_printf(seq, " rejected_%s %llu", reason_names[reason],
				   c.rejected[reason]);
		seq_printf(seq, " differ %llu\n", c.differ);
	}
}
