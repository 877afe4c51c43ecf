// SPDX-License-Identifier: GPL-2.0
/* Programs and ops that must be rejected. Each is loaded alone by reject.c. */
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

SEC("?sched/cfs_check_preempt_wakeup")
int BPF_PROG(reads_fifth_argument, struct task_struct *curr, struct task_struct *p,
	     __u64 wake_flags, struct cgroup *cgrp, __u64 fifth)
{
	return fifth;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(takes_entity_for_task, struct task_struct *curr)
{
	return curr->pid > 1;
}

SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(calls_sleeping_helper, struct sched_entity *curr, unsigned long delta_exec)
{
	char buf[8];

	return bpf_copy_from_user(buf, sizeof(buf), NULL);
}

/* Read from memory that may change. */
SEC("?sched/cfs_check_preempt_tick")
int BPF_PROG(untrusted_entity, struct sched_entity *curr, unsigned long delta_exec)
{
	return bpf_sched_entity_to_tgidpid(curr->cfs_rq->curr) != 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(kfunc_from_tracing, bool preempt, struct task_struct *prev)
{
	return bpf_sched_entity_to_tgidpid(&prev->se) != 0;
}

SEC("?struct_ops")
s32 BPF_PROG(kfunc_from_sched_ext, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return bpf_sched_entity_to_tgidpid(&p->se) != 0;
}

SEC("?.struct_ops.link")
struct sched_ext_ops ext = {
	.select_cpu	= (void *)kfunc_from_sched_ext,
	.name		= "ext",
};

SEC("?struct_ops.s")
int BPF_PROG(sleepable, struct sched_entity *curr, unsigned long delta_exec)
{
	return 0;
}

SEC("?.struct_ops.link")
struct bpf_sched_ops sleeping = {
	.cfs_check_preempt_tick	= (void *)sleepable,
	.name			= "sleeping",
};

SEC("?struct_ops")
int BPF_PROG(tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return 0;
}

SEC("?.struct_ops.link")
struct bpf_sched_ops no_name = {
	.cfs_check_preempt_tick	= (void *)tick,
};

SEC("?.struct_ops.link")
struct bpf_sched_ops bad_name = {
	.cfs_check_preempt_tick	= (void *)tick,
	.name			= "a b",
};

SEC("?.struct_ops.link")
struct bpf_sched_ops unknown_flag = {
	.cfs_check_preempt_tick	= (void *)tick,
	.flags			= 1ULL << 63,
	.name			= "unknown_flag",
};

char _license[] SEC("license") = "GPL";
