// SPDX-License-Identifier: GPL-2.0
/* A hostile policy: it has an opinion of one process, and one of all others. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "fairness.h"

struct opinion one, others;
enum mode mode;
__u32 tgid;		/* of the one */

/* The CPU whose tasks it has an opinion of, unless of all. */
__u32 cpu;
bool everywhere;

#define MIN_SLICE_NS	100000
#define MAX_SLICE_NS	100000000

__u64 answers;

static int answer(int opinion, int opposite)
{
	switch (mode) {
	case RANDOM:
		return bpf_get_prandom_u32() % 3 - 1;
	case ALTERNATING:
		return __sync_fetch_and_add(&answers, 1) % 2 ? opposite : opinion;
	default:
		return opinion;
	}
}

static struct opinion *opinion_of(__u32 task_tgid)
{
	return task_tgid == tgid ? &one : &others;
}

static __u32 cpu_of(struct sched_entity *se)
{
	struct task_struct *p = (void *)se - bpf_core_field_offset(struct task_struct, se);

	return BPF_CORE_READ(p, thread_info.cpu);
}

static int wakeup(__u32 curr_tgid, __u32 p_tgid)
{
	int opinion = opinion_of(curr_tgid)->runs ?: opinion_of(p_tgid)->wakes;

	return answer(opinion, -opinion);
}

SEC("struct_ops")
int BPF_PROG(hostile_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags)
{
	if (!everywhere && curr->thread_info.cpu != cpu)
		return 0;

	return wakeup(curr->tgid, p->tgid);
}

SEC("struct_ops")
int BPF_PROG(hostile_entity, struct sched_entity *curr, struct sched_entity *se)
{
	if (!everywhere && cpu_of(curr) != cpu)
		return 0;

	return wakeup(bpf_sched_entity_to_tgidpid(curr) >> 32,
		      bpf_sched_entity_to_tgidpid(se) >> 32);
}

SEC("struct_ops")
int BPF_PROG(hostile_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	int opinion;

	if (!everywhere && cpu_of(curr) != cpu)
		return 0;

	opinion = opinion_of(bpf_sched_entity_to_tgidpid(curr) >> 32)->tick;
	return answer(opinion, -opinion);
}

SEC("struct_ops")
int BPF_PROG(hostile_slice, struct sched_entity *se, u64 slice)
{
	int opinion;

	if (!everywhere && cpu_of(se) != cpu)
		return 0;
	if (mode == RANDOM)
		return bpf_get_prandom_u32() % (2 * MAX_SLICE_NS);

	opinion = opinion_of(bpf_sched_entity_to_tgidpid(se) >> 32)->slice;
	return answer(opinion, opinion ? MAX_SLICE_NS + MIN_SLICE_NS - opinion : 0);
}

SEC(".struct_ops.link")
struct bpf_sched_ops hostile = {
	.cfs_check_preempt_wakeup	= (void *)hostile_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)hostile_entity,
	.cfs_check_preempt_tick		= (void *)hostile_tick,
	.cfs_slice			= (void *)hostile_slice,
	.name				= "hostile",
};

char _license[] SEC("license") = "GPL";
