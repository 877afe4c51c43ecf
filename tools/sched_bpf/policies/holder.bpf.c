// SPDX-License-Identifier: GPL-2.0
/*
 * Who holds a lock goes on until it has released it: for processes whose threads contend for
 * locks of user space, beside others that compute. A thread that is interrupted with a lock
 * lets all others sleep that want it, so that the process does not use its share of the CPU.
 *
 * A thread says so by writing its id into its slot of the array /sys/fs/bpf/holding, which it
 * maps into memory, when it has taken a lock, and 0 when it has released it. The slot is the
 * one of its id modulo SLOTS; of two threads that share one the kernel knows one at most. The
 * id is that of the initial pid namespace.
 *
 * No wakee preempts a holder, and its request grows by a tick at a time; what it has had too
 * much it owes, as after any request. A wakee that holds a lock, as it slept meanwhile,
 * preempts. Nothing is said of those who wait for the lock: they sleep, so that they are owed
 * time when it is free, and EEVDF lets them have that soon.
 *
 * Not for locks that are held for longer than a few ms, nor against waiting for a lock whose
 * holder sleeps. Not for locks that are rarely contended: few are interrupted with one. For
 * critical sections below 50 us there are the slice extensions of rseq too, which take no
 * privilege. A thread whose slot says that it always holds a lock has no larger share by that,
 * but others wait for up to most_ns.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SLOTS	16384

/* Set before the policy is loaded, in nanoseconds. */
const volatile u64 most_ns = 10 * 1000 * 1000;	/* who has run so long may be interrupted */

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
