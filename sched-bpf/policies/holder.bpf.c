// SPDX-License-Identifier: GPL-2.0
/*
 * Lets a thread that holds a lock run on, for programs whose threads contend for a lock: a
 * holder that is preempted keeps all others waiting. A thread writes its id to its slot of the
 * map /sys/fs/bpf/holding when it has taken the lock, and 0 when it has released it. The slot
 * is that of its id modulo SLOTS; of two threads that share a slot at most one is known. The
 * id is that of the initial pid namespace.
 *
 * No wakee preempts a holder, and its slice is extended by a tick at a time. EEVDF still keeps
 * its lag. A wakee that holds a lock, as it slept meanwhile, preempts. Waiters of the lock are
 * not preferred: they sleep, so that their lag is positive when the lock is free.
 *
 * Not for locks that are held for longer than a few ms, for locks whose holders sleep, or for
 * locks that are rarely contended. For critical sections below 50 us there are the slice
 * extensions of rseq, which need no privilege. A thread whose slot says that it always holds a
 * lock has no larger share, but delays others for up to most_ns.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SLOTS	16384

/* Set before the policy is loaded, in nanoseconds. */
const volatile u64 most_ns = 10 * 1000 * 1000;	/* a holder that has run so long may be preempted */

/* A cache line, as each is written by another thread. */
struct slot {
	u32 holder;
	u32 unused[15];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, u32);
	__type(value, struct slot);
} holding SEC(".maps");

static bool holds(struct sched_entity *se)
{
	u32 tid = bpf_sched_entity_to_tgidpid(se), i = tid % SLOTS;
	struct slot *slot = bpf_map_lookup_elem(&holding, &i);

	return slot && slot->holder == tid;
}

SEC("struct_ops")
int BPF_PROG(holder_wakeup, struct task_struct *curr, struct task_struct *p)
{
	if (holds(&curr->se))
		return -1;

	return holds(&p->se);
}

SEC("struct_ops")
int BPF_PROG(holder_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return delta_exec < most_ns && holds(curr) ? -1 : 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops holder = {
	.cfs_check_preempt_wakeup	= (void *)holder_wakeup,
	.cfs_check_preempt_tick		= (void *)holder_tick,
	.name				= "holder",
};

char LICENSE[] SEC("license") = "GPL";
