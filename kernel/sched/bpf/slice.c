// SPDX-License-Identifier: GPL-2.0
/*
 * The length of slices, between 0.1 ms and max_slice_ns, as sched_setattr() allows.
 * A slice is an input of EEVDF, which tracks lag as ever.
 */

#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>

#include "../sched.h"
#include "hooks.h"
#include "internal.h"

unsigned int bpf_sched_max_slice_ns __read_mostly = 10 * NSEC_PER_MSEC;

static int set_max_slice_ns(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, BPF_SCHED_MIN_SLICE_NS, 100 * NSEC_PER_MSEC);
}

static const struct kernel_param_ops max_slice_ns_ops = {
	.set = set_max_slice_ns,
	.get = param_get_uint,
};

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX	"bpf_sched."
module_param_cb(max_slice_ns, &max_slice_ns_ops, &bpf_sched_max_slice_ns, 0644);

/**
 * struct longest_slice - the longest slice that policies have set on a CPU
 * @ns: its length, 0 if none was longer than the base slice since the queue was empty
 * @set: jiffies when one was last set; it is forgotten a second after that
 */
struct longest_slice {
	u64 ns;
	unsigned long set;
};

static DEFINE_PER_CPU(struct longest_slice, longest_slices);

struct slice_call {
	struct sched_entity *se;
	u64 slice;
};

/* Note that a policy has set @slice, which is longer than the base slice. */
void bpf_sched_slice_set(struct rq *rq, u64 slice)
{
	struct longest_slice *longest = per_cpu_ptr(&longest_slices, cpu_of(rq));

	longest->ns = max(__bpf_sched_max_slice(rq, 0), slice);
	longest->set = jiffies;
}

static __always_inline bool call_slice(const struct bpf_sched_ops *ops, struct cgroup *cgrp,
				       void *arg)
{
	const unsigned int hook = BPF_SCHED_HOOK(cfs_slice);
	struct slice_call *call = arg;
	u64 slice;
	int ret;

	ret = bpf_sched_call_op(ops, cfs_slice, call->se, call->slice, cgrp);
	if (!ret)
		return false;
	if (ret < 0)
		return bpf_sched_reject(ops, hook, BPF_SCHED_SLICE, ret);

	slice = clamp_t(u64, ret, BPF_SCHED_MIN_SLICE_NS, READ_ONCE(bpf_sched_max_slice_ns));
	if (slice != ret)
		bpf_sched_reject(ops, hook, BPF_SCHED_SLICE, ret);
	if (!bpf_sched_apply(ops, hook, slice != call->slice))
		return false;

	call->slice = slice;

	return true;
}

/*
 * Let the positive lag of @se, which is about to be placed after it slept, decay at the
 * rate at which it would have been served. With long slices on the queue it can be
 * that large, and each time that @se comes and goes it moves V. What stock allows with
 * base slices is kept.
 */
static void decay_lag(struct rq *rq, struct sched_entity *se, u64 base_slice)
{
	s64 least = bpf_sched_to_virtual(base_slice + TICK_NSEC, se->h_load.weight);
	u64 weight = ((u64)rq->cfs.sum_weight << rq->cfs.sum_shift) + se->h_load.weight;
	s64 asleep = rq_clock_task(rq) - se->exec_start;
	const struct sched_entity *curr = rq->cfs.curr;

	/* Not if it was moved while it was runnable, or slept on another CPU. */
	if (se->vlag <= least || se->rel_deadline || !se->exec_start || asleep <= 0)
		return;

	if (curr && curr->on_rq)
		weight += curr->h_load.weight;
	/* A minute suffices for any lag, and does not overflow. */
	asleep = min(asleep, 60LL * NSEC_PER_SEC);
	se->vlag = max(least, se->vlag - (s64)bpf_sched_to_virtual(asleep, weight));
}

static noinline u64 call_policies(struct rq *rq, struct sched_entity *se, u64 slice)
{
	struct slice_call call = { se, slice };

	bpf_sched_call(rq, task_of(se), NULL, call_slice, &call);
	if (call.slice > slice)
		bpf_sched_slice_set(rq, call.slice);

	return call.slice;
}

u64 __bpf_sched_slice(struct rq *rq, struct sched_entity *se, u64 slice)
{
	struct longest_slice *longest = per_cpu_ptr(&longest_slices, cpu_of(rq));
	const struct sched_entity *curr = rq->cfs.curr;

	lockdep_assert_rq_held(rq);

	/* The current entity is not in the tree, nor is @se if it is being placed. */
	if (!rq->cfs.sum_weight && (!curr || !curr->on_rq || curr == se))
		longest->ns = 0;
	else if (curr != se && __bpf_sched_max_slice(rq, 0))
		decay_lag(rq, se, slice);

	return bpf_sched_applies(task_of(se)) ? call_policies(rq, se, slice) : slice;
}

/*
 * entity_lag() limits lag to the longest slice on the queue. A policy may set a
 * long slice and then a short one: the negative lag that the long one caused must
 * not be forgotten for that.
 */
u64 __bpf_sched_max_slice(struct rq *rq, u64 max_slice)
{
	const struct longest_slice *longest = per_cpu_ptr(&longest_slices, cpu_of(rq));

	if (likely(longest->ns <= max_slice))
		return max_slice;
	if (!READ_ONCE(bpf_sched_on) || time_after(jiffies, longest->set + HZ))
		return max_slice;

	return longest->ns;
}
