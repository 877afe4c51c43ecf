// SPDX-License-Identifier: GPL-2.0
/*
 * A policy whose answers depend on all that it was asked before, in each kind of map, or on
 * something that a recording does not have.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum wants {
	STATE,
	RANDOM,		/* a helper */
	MEMBER,		/* a member of a task */
	MEMORY,		/* what that points to */
	FUNCTION,	/* a function of the kernel */
	ENDLESS,	/* nothing, but a map that is full */
};

/* Set before it is loaded. */
const volatile u32 wants;

#define MAX_CPUS	64

u64 asked[MAX_CPUS];	/* how often, by CPU */
u32 last[MAX_CPUS];

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u64);
} by_task SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u64);
} dropped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, u64);
} full SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} by_cpu_and_task SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, u64);
} by_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} of_task SEC(".maps");

/* One more for this key, and how many these are then. */
static __noinline u64 count(void *map, u32 key)
{
	u64 *value = bpf_map_lookup_elem(map, &key), zero = 0;

	if (!value) {
		bpf_map_update_elem(map, &key, &zero, BPF_ANY);
		value = bpf_map_lookup_elem(map, &key);
	}

	return value ? ++*value : -1;
}

static struct task_struct *task_of(struct sched_entity *se)
{
	void *task = (void *)se - bpf_core_field_offset(struct task_struct, se);

	return bpf_rdonly_cast(task, bpf_core_type_id_kernel(struct task_struct));
}

/* From what it was asked before, as numbers that are rarely the same. */
static u64 from_state(struct sched_entity *se)
{
	u32 tid = bpf_sched_entity_to_tgidpid(se), cpu = bpf_get_smp_processor_id() % MAX_CPUS;
	u64 sum = count(&by_task, tid), delta;
	u32 old;

	if (sum == 5)
		bpf_map_delete_elem(&by_task, &tid);
	sum = sum * 31 + count(&dropped, tid);
	sum = sum * 31 + count(&by_cpu_and_task, tid % 16);
	sum = sum * 31 + count(&by_cpu, tid % 4);
	sum = sum * 31 + __sync_fetch_and_add(&asked[cpu], 3);
	old = __sync_lock_test_and_set(&last[cpu], tid);
	sum = sum * 31 + __sync_val_compare_and_swap(&last[cpu], tid, old + 1);
	delta = se->sum_exec_runtime - se->prev_sum_exec_runtime;
	sum = sum * 31 + (old - (u32)delta) / 7;

	return sum * 31 + (se->vlag >> 3);
}

static u64 fill(struct sched_entity *se)
{
	u64 key = se->sum_exec_runtime, zero = 0;

	bpf_map_update_elem(&full, &key, &zero, BPF_ANY);
	return 1;
}

static u64 answer(struct sched_entity *se)
{
	struct task_struct *p = task_of(se);

	switch (wants) {
	case RANDOM:
		return bpf_get_prandom_u32();
	case MEMBER:
		return p->se.avg.util_est;
	case MEMORY:
		return p->real_parent->pid;
	case FUNCTION:
		return bpf_sched_cpu_nr_runnable(0);
	case ENDLESS:
		return fill(se);
	default:
		return from_state(se);
	}
}

SEC("struct_ops")
int BPF_PROG(replay_slice, struct sched_entity *se)
{
	return (answer(se) & 0xffffff) + 1;
}

/* The kernel frees it with the task. */
SEC("struct_ops")
int BPF_PROG(replay_wakeup, struct task_struct *curr, struct task_struct *p)
{
	u64 first = p->start_time;
	u64 *seen = bpf_task_storage_get(&of_task, p, &first, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!seen)
		return 0;
	*seen = *seen * 31 + curr->pid;
	return (*seen >> 5) % 3 - 1;
}

SEC(".struct_ops.link")
struct bpf_sched_ops replay = {
	.cfs_check_preempt_wakeup	= (void *)replay_wakeup,
	.cfs_slice			= (void *)replay_slice,
	.name				= "replay",
};

char LICENSE[] SEC("license") = "GPL";
