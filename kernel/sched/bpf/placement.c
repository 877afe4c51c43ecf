// SPDX-License-Identifier: GPL-2.0
/*
 * Where a task is enqueued, and whether it is worth migrating. The class decides
 * where a task may run, and the balancer has the last word: a task that a policy
 * keeps next to an idle CPU is moved after as many failures as a cache-hot task, or
 * after MAX_STAY.
 */

#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/percpu.h>
#include <linux/sched/isolation.h>

#include "../sched.h"
#include "hooks.h"
#include "internal.h"

struct select_call {
	struct task_struct *p;
	int prev_cpu;
	int wake_flags;
	int cpu;
};

/* Return true if @p can be enqueued on @cpu, which a policy returned. */
static bool is_allowed(struct task_struct *p, unsigned int cpu)
{
	return cpu < nr_cpu_ids && cpumask_test_cpu(cpu, p->cpus_ptr) && cpu_active(cpu) &&
	       housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN);
}

static __always_inline bool call_select(const struct bpf_sched_ops *ops, struct cgroup *cgrp,
					void *arg)
{
	const unsigned int hook = BPF_SCHED_HOOK(cfs_select_cpu);
	struct select_call *call = arg;
	unsigned int cpu;
	int ret;

	ret = bpf_sched_call_op(ops, cfs_select_cpu, call->p, call->prev_cpu, call->wake_flags,
				call->cpu, cgrp);
	if (!ret)
		return false;

	/* Negative results become numbers that no CPU has. */
	cpu = (unsigned int)ret - BPF_SCHED_CPU_0;
	if (!is_allowed(call->p, cpu))
		return bpf_sched_reject(ops, hook, BPF_SCHED_CPU, ret);
	if (!bpf_sched_apply(ops, hook, cpu != call->cpu))
		return false;

	call->cpu = cpu;

	return true;
}

int __bpf_sched_select_cpu(struct task_struct *p, int wake_flags, int cpu)
{
	struct select_call call = { p, p->wake_cpu, wake_flags, cpu };

	lockdep_assert_held(&p->pi_lock);

	/* With WF_CURRENT_CPU the waker insists on its own CPU. */
	if (p->sched_class != &fair_sched_class || p->nr_cpus_allowed == 1 ||
	    (wake_flags & WF_CURRENT_CPU))
		return cpu;

	bpf_sched_call(NULL, p, NULL, call_select, &call);

	return call.cpu;
}

/*
 * For how long tasks may be kept waiting while a CPU that asks for them is idle.
 * Failures alone do not bound that: they are forgotten whenever the CPU has work for a
 * moment, and newidle balancing does not count them.
 */
#define MAX_STAY	(HZ / 50)

/* For how long they may not after that. */
#define NO_STAY		DIV_ROUND_UP(HZ, 200)

/* Without a rejection for so long, and four intervals of balancing, it starts anew. */
#define FORGET		(HZ / 5)

/**
 * struct stay_limit - how long an idle CPU has been refused tasks
 * @begin: since when, or since when it is not refused them
 * @last: the last refusal
 * @over: it is not refused tasks
 *
 * Races between CPUs that balance for the same CPU are rare and harmless.
 */
struct stay_limit {
	unsigned long begin;
	unsigned long last;
	bool over;
};

static DEFINE_PER_CPU(struct stay_limit, patience);

/* Return true if a waiting task may be kept from @cpu. */
static bool may_stay(int cpu, const struct sched_domain *sd)
{
	struct stay_limit *p = per_cpu_ptr(&patience, cpu);
	unsigned long now = jiffies;

	if (READ_ONCE(cpu_rq(cpu)->nr_running))
		return true;

	/* @begin is 0 at first, which may be in the future. */
	if (time_before(now, p->begin) ||
	    time_after(now, p->last + FORGET + 4 * msecs_to_jiffies(sd->balance_interval)) ||
	    (p->over && time_after(now, p->begin + NO_STAY))) {
		p->begin = now;
		p->over = false;
	}
	p->last = now;
	/* The next call, whenever it comes, is the first with the other outcome. */
	if (!p->over && time_after(now, p->begin + MAX_STAY)) {
		p->begin = now;
		p->over = true;
	}

	return !p->over;
}

struct migrate_call {
	struct rq *src_rq;
	struct task_struct *p;
	int dst_cpu;
	const struct sched_domain *sd;
	bool hot;
};

/* Return why a result is rejected, or BPF_SCHED_NR_REASONS. */
static enum bpf_sched_reason check_migrate(const struct migrate_call *call, int ret, bool shadow)
{
	/* The core would run one or the other, see task_hot(). */
	if (ret > 0)
		return sched_core_cookie_match(cpu_rq(call->dst_cpu), call->p) ?
		       BPF_SCHED_NR_REASONS : BPF_SCHED_CPU;

	/* It is migrated then, hot or not, see can_migrate_task(). */
	if (call->sd->nr_balance_failed > call->sd->cache_nice_tries)
		return BPF_SCHED_BALANCE;

	/* Shadow mode must not use up the patience that others have. */
	return shadow || may_stay(call->dst_cpu, call->sd) ? BPF_SCHED_NR_REASONS :
							     BPF_SCHED_BALANCE;
}

static __always_inline bool call_migrate(const struct bpf_sched_ops *ops, struct cgroup *cgrp,
					 void *arg)
{
	const unsigned int hook = BPF_SCHED_HOOK(cfs_can_migrate);
	bool shadow = ops->flags & BPF_SCHED_F_SHADOW;
	struct migrate_call *call = arg;
	enum bpf_sched_reason reason;
	int ret;

	ret = bpf_sched_call_op(ops, cfs_can_migrate, call->p, cpu_of(call->src_rq),
				call->dst_cpu, call->hot, cgrp);
	if (!ret)
		return false;

	reason = check_migrate(call, ret, shadow);
	if (reason != BPF_SCHED_NR_REASONS)
		return bpf_sched_reject(ops, hook, reason, ret);
	if (!bpf_sched_apply(ops, hook, ret < 0 ? !call->hot : call->hot))
		return false;

	call->hot = ret < 0;

	return true;
}

bool __bpf_sched_is_hot(struct rq *src_rq, struct task_struct *p, int dst_cpu,
			const struct sched_domain *sd, bool hot)
{
	struct migrate_call call = { src_rq, p, dst_cpu, sd, hot };

	lockdep_assert_rq_held(src_rq);

	bpf_sched_call(src_rq, p, NULL, call_migrate, &call);

	return call.hot;
}
