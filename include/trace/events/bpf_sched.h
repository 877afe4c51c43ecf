/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM bpf_sched

#if !defined(_TRACE_BPF_SCHED_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_BPF_SCHED_H

#include <linux/bpf_sched.h>
#include <linux/tracepoint.h>

/* A result is rejected or clamped. Called with an rq lock or a pi_lock held. */
TRACE_EVENT(bpf_sched_rejected,

	TP_PROTO(const struct bpf_sched_ops *ops, const char *hook,
		 const char *reason, int ret),

	TP_ARGS(ops, hook, reason, ret),

	TP_STRUCT__entry(
		__array(	char,	name,	BPF_SCHED_NAME_LEN	)
		__string(	hook,	hook				)
		__string(	reason,	reason				)
		__field(	int,	ret				)
	),

	TP_fast_assign(
		memcpy(__entry->name, ops->name, BPF_SCHED_NAME_LEN);
		__assign_str(hook);
		__assign_str(reason);
		__entry->ret = ret;
	),

	TP_printk("name=%s hook=%s ret=%d reason=%s",
		  __entry->name, __get_str(hook), __entry->ret, __get_str(reason))
);

#endif /* _TRACE_BPF_SCHED_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
