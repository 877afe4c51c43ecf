/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bpf_sched

#if !defined(_TRACE_BPF_SCHED_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_BPF_SCHED_H

#include <linux/bpf_sched.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(bpf_sched_policy,

	TP_PROTO(const struct bpf_sched_policy *policy, const struct bpf_sched_ops *ops),

	TP_ARGS(policy, ops),

	TP_STRUCT__entry(
		__field(	u32,	id					)
		__array(	char,	name,		BPF_SCHED_NAME_LEN	)
		__field(	u64,	cgroup_id				)
		__field(	u64,	flags					)
	),

	TP_fast_assign(
		__entry->id = policy->id;
		memcpy(__entry->name, ops->name, BPF_SCHED_NAME_LEN);
		__entry->cgroup_id = policy->cgroup_id;
		__entry->flags = ops->flags;
	),

	TP_printk("id=%u name=%s cgroup_id=%llu flags=%#llx",
		  __entry->id, __entry->name, __entry->cgroup_id, __entry->flags)
);

/* A policy is asked from now on. */
DEFINE_EVENT(bpf_sched_policy, bpf_sched_attach,
	TP_PROTO(const struct bpf_sched_policy *policy, const struct bpf_sched_ops *ops),
	TP_ARGS(policy, ops)
);

/* The policy of this id has new answers, name and flags. */
DEFINE_EVENT(bpf_sched_policy, bpf_sched_replace,
	TP_PROTO(const struct bpf_sched_policy *policy, const struct bpf_sched_ops *ops),
	TP_ARGS(policy, ops)
);

/* A policy will not be asked any more, be it by close, by detach or by removal of
 * its cgroup.
 */
DEFINE_EVENT(bpf_sched_policy, bpf_sched_detach,
	TP_PROTO(const struct bpf_sched_policy *policy, const struct bpf_sched_ops *ops),
	TP_ARGS(policy, ops)
);

/* An answer is not obeyed. Called with an rq lock held. */
TRACE_EVENT(bpf_sched_overruled,

	TP_PROTO(const struct bpf_sched_policy *policy, const char *hook,
		 const char *bound, int answer),

	TP_ARGS(policy, hook, bound, answer),

	TP_STRUCT__entry(
		__field(	u32,	id					)
		__string(	hook,	hook					)
		__string(	bound,	bound					)
		__field(	int,	answer					)
	),

	TP_fast_assign(
		__entry->id = policy->id;
		__assign_str(hook);
		__assign_str(bound);
		__entry->answer = answer;
	),

	TP_printk("id=%u hook=%s answer=%d bound=%s",
		  __entry->id, __get_str(hook), __entry->answer, __get_str(bound))
);

#endif /* _TRACE_BPF_SCHED_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
