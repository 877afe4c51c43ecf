// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that must be refused. Each is loaded alone by reject.c, which looks
 * for the message of the verifier or of libbpf.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("?sched/cfs_check_preempt_wakeup")
int BPF_PROG(good, struct task_struct *curr, struct task_struct *p)
{
	return 0;
}

SEC("?sched/cfs_no_such_hook")
int BPF_PROG(unknown_hook, struct task_struct *curr, struct task_struct *p)
{
	return 0;
}

SEC("?sched/name")
int BPF_PROG(not_a_hook)
{
	return 0;
}

SEC("?sched/cfs_check_preempt_wakeup")
void BPF_PROG(returns_nothing, struct task_struct *curr, struct task_struct *p)
{
}

SEC("?sched/cfs_check_preempt_wakeup")
int BPF_PROG(writes_task, struct task_struct *curr, struct task_struct *p)
{
	p->se.vruntime = 0;
	return 0;
}

/* The hook has four arguments. */
SEC("?sched/cfs_check_preempt_wakeup")
int BPF_PROG(reads_beyond_context, struct task_struct *curr, struct task_struct *p,
	     __u64 wake_flags, const struct bpf_sched_policy *this, __u64 fifth)
{
	return fifth;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(calls_sleeping_helper, struct sched_entity *curr, unsigned long delta_exec)
{
	char buf[8];

	return bpf_copy_from_user(buf, sizeof(buf), NULL);
}

extern s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;

SEC("?sched/cfs_check_preempt_wakeup")
int BPF_PROG(calls_sched_ext, struct task_struct *curr, struct task_struct *p)
{
	return scx_bpf_task_cpu(p);
}

/* What takes longer than the verifier has looked at, or may wake a task. */
static long nothing(__u32 i, void *ctx)
{
	return 0;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(calls_bpf_loop, struct sched_entity *curr, unsigned long delta_exec)
{
	return bpf_loop(1 << 23, nothing, NULL, 0);
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(uses_iterator, struct sched_entity *curr, unsigned long delta_exec)
{
	int i, n = 0;

	bpf_for(i, 0, 1 << 23)
		n++;
	return n;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(uses_may_goto, struct sched_entity *curr, unsigned long delta_exec)
{
	volatile int n = 0;

	for (;; n++)
		asm volatile goto("may_goto %l[out]" : : : : out);
out:
	return n;
}

/* What is verified once, and may be called or replaced any number of times. */
__noinline int global_function(int n)
{
	volatile int i;

	for (i = 0; i < 100 && i < n; i++)
		;
	return i;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(calls_global, struct sched_entity *curr, unsigned long delta_exec)
{
	return global_function(delta_exec) > 10;
}

SEC("?sched/cfs_check_preempt_tick")
int without_context(void)
{
	return 0;
}

/* Maps of which a single operation may take long. */
struct huge {
	char bytes[2 << 20];
};

struct huge_array {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct huge);
} huge_values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct huge_array);
} outer SEC(".maps") = {
	.values = { &huge_values },
};

char huge_data[2 << 20];

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_ZERO_SEED);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} known_seed SEC(".maps");

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(uses_huge_values, struct sched_entity *curr, unsigned long delta_exec)
{
	__u32 key = 0;

	return !bpf_map_lookup_elem(&huge_values, &key);
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(uses_huge_values_inside, struct sched_entity *curr, unsigned long delta_exec)
{
	__u32 key = 0;

	return !bpf_map_lookup_elem(&outer, &key);
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(uses_huge_data, struct sched_entity *curr, unsigned long delta_exec)
{
	return huge_data[delta_exec % sizeof(huge_data)] == 1;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(uses_known_seed, struct sched_entity *curr, unsigned long delta_exec)
{
	__u32 key = 0;

	return !bpf_map_lookup_elem(&known_seed, &key);
}

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

SEC("?sched/cfs_check_preempt_wakeup")
int BPF_PROG(releases_task, struct task_struct *curr, struct task_struct *p)
{
	p = bpf_task_acquire(p);
	if (p)
		bpf_task_release(p);
	return 0;
}

SEC("?sched/cfs_check_preempt_wakeup")
int BPF_PROG(sends_signal, struct task_struct *curr, struct task_struct *p)
{
	return bpf_send_signal(9);
}

/* An entity that nothing vouches for: read from memory that may change. */
SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(untrusted_entity, struct sched_entity *curr, unsigned long delta_exec)
{
	return bpf_sched_entity_to_tgidpid(curr->cfs_rq->curr) != 0;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(unchecked_parent, struct sched_entity *curr, unsigned long delta_exec)
{
	return bpf_sched_entity_to_tgidpid(curr->parent) != 0;
}

/* The entity calls are for this table only. */
SEC("?tp_btf/sched_switch")
int BPF_PROG(from_tracing, bool preempt, struct task_struct *prev)
{
	return bpf_sched_entity_to_tgidpid(&prev->se) != 0;
}

SEC("?struct_ops")
s32 BPF_PROG(from_sched_ext, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return bpf_sched_entity_to_tgidpid(&p->se) != 0;
}

SEC("?.struct_ops.link")
struct sched_ext_ops ext = {
	.select_cpu	= (void *)from_sched_ext,
	.name		= "ext",
};

SEC("?struct_ops.s")
int BPF_PROG(sleepable, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	return 0;
}

SEC("?.struct_ops.link")
struct bpf_sched_ops sleeping = {
	.cfs_check_preempt_tick	= (void *)sleepable,
	.name			= "sleeping",
};

/* Tables that are refused when they are filled in. */
SEC("?.struct_ops.link")
struct bpf_sched_ops no_hooks = {
	.name			= "no_hooks",
};

SEC("?struct_ops")
int BPF_PROG(tick, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	return 0;
}

SEC("?.struct_ops.link")
struct bpf_sched_ops no_name = {
	.cfs_check_preempt_tick	= (void *)tick,
};

SEC("?.struct_ops.link")
struct bpf_sched_ops bad_flags = {
	.cfs_check_preempt_tick	= (void *)tick,
	.flags			= 1ULL << 63,
	.name			= "bad_flags",
};

/* Without a link nothing would show or detach the policy. */
SEC("?.struct_ops")
struct bpf_sched_ops no_link = {
	.cfs_check_preempt_tick	= (void *)tick,
	.name			= "no_link",
};

char _license[] SEC("license") = "GPL";
