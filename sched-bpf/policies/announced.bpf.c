// SPDX-License-Identifier: GPL-2.0
/*
 * Runs short work first, for tasks whose work is known or guessed when it is handed out:
 * functions of a platform, queries, jobs. The dispatcher writes how long the work will take
 * into the map /sys/fs/bpf/announced, under the id of the thread that it is for, before that
 * thread wakes up.
 *
 * A slice is as long as what remains of the work, so that EEVDF runs short work early and does
 * not preempt long work for other long work. A wakee with less to do preempts, unless the
 * current task will be done soon. A wrong guess delays others by the longest slice at most,
 * as shares do not depend on it.
 *
 * It does not serve by remaining work alone, which would starve long work while there is
 * shorter work.
 *
 * Not for work that lasts as long as all other work: there is nothing to sort. Not for threads
 * whose work comes in many small pieces. The map keeps the 16384 most recent threads.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* A return value is an int. The kernel clamps it to its bounds. */
#define MOST_NS	0x7fffffff

/* Set before the policy is loaded, in nanoseconds. */
const volatile u64 soon_ns = 15 * 1000 * 1000;	/* no announced work preempts work that ends so soon */
const volatile u64 others_ns = 8 * 1000 * 1000;	/* nor does any other task if it ends so soon */
const volatile u64 spare_ns = 1000 * 1000;	/* how much longer than announced work may take */

/* What is announced of a thread. All times in nanoseconds. */
struct work {
	u64 length;	/* CPU time that it will take */
	u64 end;	/* sum_exec_runtime at its end; the dispatcher writes 0 */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, u32);
	__type(value, struct work);
} announced SEC(".maps");

/*
 * Return what remains of the work of an entity, 0 if that is not known or has lasted longer.
 * With some to spare: a task that is preempted just before its end has negative lag and waits
 * for all others.
 */
static u64 remaining(struct sched_entity *se)
{
	u64 most, now = se->sum_exec_runtime;
	u32 tid = bpf_sched_entity_to_tgidpid(se);
	struct work *work = bpf_map_lookup_elem(&announced, &tid);

	if (!work)
		return 0;

	most = work->length + work->length / 8 + spare_ns;
	if (!work->end)
		work->end = now + most;
	/* More than all of it: the id belonged to another thread. */
	if (now >= work->end || work->end - now > most)
		return 0;

	return work->end - now;
}

SEC("struct_ops")
int BPF_PROG(announced_slice, struct sched_entity *se)
{
	u64 length = remaining(se);

	return length < MOST_NS ? length : MOST_NS;
}

SEC("struct_ops")
int BPF_PROG(announced_wakeup, struct task_struct *curr, struct task_struct *p)
{
	u64 rest = remaining(&curr->se), wakee = remaining(&p->se);

	if (!rest)
		return 0;
	if (!wakee)
		return rest < others_ns ? -1 : 0;

	return rest < soon_ns || rest <= wakee ? -1 : 1;
}

SEC("struct_ops")
int BPF_PROG(announced_tick, struct sched_entity *curr)
{
	u64 rest = remaining(curr);

	return rest && rest < soon_ns ? -1 : 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops announced_ops = {
	.cfs_check_preempt_wakeup	= (void *)announced_wakeup,
	.cfs_check_preempt_tick		= (void *)announced_tick,
	.cfs_slice			= (void *)announced_slice,
	.name				= "announced",
};

char LICENSE[] SEC("license") = "GPL";
