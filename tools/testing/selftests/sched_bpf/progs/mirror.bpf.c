// SPDX-License-Identifier: GPL-2.0
/*
 * A policy whose answers look random, but follow from all that it sees of a question;
 * modules/sched_bpf_test.rs has the same.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

static u64 add(u64 hash, u64 value)
{
	return (hash ^ value) * 0x0100000001b3;
}

static u64 begin(const struct bpf_sched_policy *this)
{
	return add(0xcbf29ce484222325, this->cgroup_id);
}

static u64 add_entity(u64 hash, struct sched_entity *se, u64 cgroup_id)
{
	u64 turn = se->sum_exec_runtime - se->prev_sum_exec_runtime;

	hash = add(hash, se->slice);
	hash = add(hash, se->deadline);
	hash = add(hash, se->vruntime);
	hash = add(hash, se->h_load.weight);
	hash = add(hash, se->sum_exec_runtime);
	hash = add(hash, turn);
	hash = add(hash, bpf_sched_entity_belongs_to_cgrp(se, cgroup_id));
	return add(hash, (u32)bpf_sched_entity_to_tgidpid(se));
}

static u64 add_task(u64 hash, struct task_struct *p, u64 cgroup_id)
{
	int i;

	hash = add_entity(hash, &p->se, cgroup_id);
	hash = add(hash, p->pid);
	hash = add(hash, p->tgid);
	/* PRIO_TO_NICE() */
	hash = add(hash, (u64)(s64)(p->static_prio - 120));
	hash = add(hash, p->policy);
	hash = add(hash, p->thread_info.cpu);
	hash = add(hash, p->nr_cpus_allowed);
	hash = add(hash, p->nvcsw);
	hash = add(hash, p->start_time);
	for (i = 0; i < sizeof(p->comm) && p->comm[i]; i++)
		hash = add(hash, (u8)p->comm[i]);
	return hash;
}

static int sign(u64 hash)
{
	return (int)((hash >> 32) % 3) - 1;
}

SEC("struct_ops")
int BPF_PROG(mirror_wakeup, struct task_struct *curr, struct task_struct *p,
	     const struct bpf_sched_policy *this)
{
	u64 hash = add_task(begin(this), curr, this->cgroup_id);

	return sign(add_task(hash, p, this->cgroup_id));
}

SEC("struct_ops")
int BPF_PROG(mirror_entity, struct sched_entity *curr, struct sched_entity *se,
	     const struct bpf_sched_policy *this)
{
	u64 hash = add_entity(begin(this), curr, this->cgroup_id);

	return sign(add_entity(hash, se, this->cgroup_id));
}

SEC("struct_ops")
int BPF_PROG(mirror_tick, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	u64 hash = add_entity(begin(this), curr, this->cgroup_id);

	return sign(add(hash, delta_exec));
}

SEC(".struct_ops.link")
struct bpf_sched_ops mirror = {
	.cfs_check_preempt_wakeup	= (void *)mirror_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)mirror_entity,
	.cfs_check_preempt_tick		= (void *)mirror_tick,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "bpf_mirror",
};

char LICENSE[] SEC("license") = "GPL";
