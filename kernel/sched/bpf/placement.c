// SPDX-License-Identifier: GPL-2.0
/*
 * On which CPU a task begins, and whether it is worth moving, by the answers of
 * policies. The class says where a task may be at all, and the balancer has the last
 * word: what a policy puts beside an idle CPU, or wants to keep there, is moved after
 * as many failures as a cache-hot task, or MAX_STAY.
 */

#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/percpu.h>
#include <linux/sched/isolation.h>

#include "../sched.h"
#include "ask.h"
#include "hooks.h"

/* Can the task @p be put on @cpu, which a policy named? */
static bool is_place_of(struct task_struct *p, unsigned int cpu)
{
	return cpu < nr_cpu_ids && cpumask_test_cpu(cpu, p->cpus_ptr) && cpu_active(cpu) &&
	       housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN);
}

/* The CPU that the opinion @ret, which is not zero, comes to. */
static int named_cpu(const struct bpf_sched_ask_cfs_select_cpu *q, int ret)
{
	/* Negative ones become numbers that no CPU has. */
	unsigned int cpu = (unsigned int)ret - BPF_SCHED_CPU_0;

	if (is_place_of(q->arg.p, cpu))
		return cpu;

	bpf_sched_overrule(q->call, BPF_SCHED_cfs_select_cpu, BPF_SCHED_BOUND_cpu, ret);
	return q->arg.stock_cpu;
}

void bpf_sched_shadow_cfs_select_cpu(const struct bpf_sched_ask_cfs_select_cpu *q,
				     struct rq *rq, int ret)
{
	if (named_cpu(q, ret) != q->arg.stock_cpu)
		this_cpu_inc(q->call->counters->differ);
}

int __bpf_sched_select_cpu(struct task_struct *p, int wake_flags, int cpu)
{
	struct bpf_sched_ask_cfs_select_cpu q __uninitialized;
	int ret;

	lockdep_assert_held(&p->pi_lock);

	/* Nothing to be decided, or not by a policy: the waker has its reasons. */
	if (p->sched_class != &fair_sched_class || p->nr_cpus_allowed == 1 ||
	    (wake_flags & WF_CURRENT_CPU))
		return cpu;

	q.arg.p = p;
	q.arg.prev_cpu = p->wake_cpu;
	q.arg.wake_flags = wake_flags;
	q.arg.stock_cpu = cpu;
	ret = bpf_sched_ask_cfs_select_cpu(&q, bpf_sched_whom(NULL, p, p));
	if (unlikely(ret))
		return named_cpu(&q, ret);

	return q.arg.stock_cpu;
}

/*
 * For how long tasks may stay where they wait, while a CPU is idle that asks for them.
 * Failures alone do not bound that: they are forgotten whenever the CPU has work for a
 * moment, and idle balancing does not count them.
 */
#define MAX_STAY	(HZ / 50)

/* And for how long they may not, then. */
#define NO_STAY		DIV_ROUND_UP(HZ, 200)

/* From how long without a refusal on it is a new matter, beside four intervals of balancing. */
#define FORGET		(HZ / 5)

/* How long an idle CPU has been refused tasks. Races between CPUs that balance for it are rare. */
struct patience {
	unsigned long begin;
	unsigned long last;
	bool over;
};

static DEFINE_PER_CPU(struct patience, patience);

/* May a task that waits be refused to @cpu? */
static bool may_stay(int cpu, const struct sched_domain *sd)
{
	struct patience *p = per_cpu_ptr(&patience, cpu);
	unsigned long now = jiffies;

	if (READ_ONCE(cpu_rq(cpu)->nr_running))
		return true;

	/* At first it begins at 0, which may be to come. */
	if (time_before(now, p->begin) ||
	    time_after(now, p->last + FORGET + 4 * msecs_to_jiffies(sd->balance_interval)) ||
	    (p->over && time_after(now, p->begin + NO_STAY))) {
		p->begin = now;
		p->over = false;
	}
	p->last = now;
	/* The next question, whenever that is, is the first that has no other answer. */
	if (!p->over && time_after(now, p->begin + MAX_STAY)) {
		p->begin = now;
		p->over = true;
	}

	return !p->over;
}

/* A question whether to migrate, with what bounds its answer. */
struct migration {
	struct bpf_sched_ask_cfs_can_migrate q;
	const struct sched_domain *sd;
};

/* Is the task hot by the opinion @ret, which is not zero? */
static bool is_hot(const struct bpf_sched_ask_cfs_can_migrate *q, int ret)
{
	const struct migration *m = container_of_const(q, struct migration, q);

	if (ret > 0) {
		if (sched_core_cookie_match(cpu_rq(q->arg.dst_cpu), q->arg.p))
			return false;
		/* The core would run one or the other: a reason to wait, see task_hot(). */
		bpf_sched_overrule(q->call, BPF_SCHED_cfs_can_migrate, BPF_SCHED_BOUND_cpu, ret);
		return q->arg.hot;
	}

	/* It moves then, hot or not, see can_migrate_task(). */
	if (m->sd->nr_balance_failed <= m->sd->cache_nice_tries &&
	    may_stay(q->arg.dst_cpu, m->sd))
		return true;

	bpf_sched_overrule(q->call, BPF_SCHED_cfs_can_migrate, BPF_SCHED_BOUND_balance, ret);
	return q->arg.hot;
}

void bpf_sched_shadow_cfs_can_migrate(const struct bpf_sched_ask_cfs_can_migrate *q,
				      struct rq *rq, int ret)
{
	if (is_hot(q, ret) != q->arg.hot)
		this_cpu_inc(q->call->counters->differ);
}

bool __bpf_sched_is_hot(struct rq *src_rq, struct task_struct *p, int dst_cpu,
			const struct sched_domain *sd, bool hot)
{
	struct migration m __uninitialized;
	int ret;

	lockdep_assert_rq_held(src_rq);

	m.sd = sd;
	m.q.arg.p = p;
	m.q.arg.src_cpu = cpu_of(src_rq);
	m.q.arg.dst_cpu = dst_cpu;
	m.q.arg.hot = hot;
	ret = bpf_sched_ask_cfs_can_migrate(&m.q, bpf_sched_whom(src_rq, p, p));
	if (unlikely(ret))
		return is_hot(&m.q, ret);

	return m.q.arg.hot;
}
