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
	u64 since_pick = se->sum_exec_runtime - se->prev_sum_exec_runtime;

	hash = add(hash, se->slice);
	hash = add(hash, se->deadline);
	hash = add(hash, se->vruntime);
	hash = add(hash, se->h_load.weight);
	hash = add(hash, se->sum_exec_runtime);
	hash = add(hash, since_pick);
	hash = add(hash, bpf_sched_entity_lag(se));
	hash = add(hash, bpf_sched_entity_eligible(se) > 0);
	hash = add(hash, bpf_sched_entity_nr_runnable(se));
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

static u64 add_flags(u64 hash, u64 wake_flags)
{
	hash = add(hash, !!(wake_flags & BPF_SCHED_WAKE_FORK));
	hash = add(hash, !!(wake_flags & BPF_SCHED_WAKE_SYNC));
	return add(hash, !!(wake_flags & BPF_SCHED_WAKE_MIGRATED));
}

/* From -1 to 2. */
static int wakeup(u64 hash)
{
	return (int)((hash >> 32) % 4) - 1;
}

/* From -1 to 1. */
static int tick(u64 hash)
{
	return (int)((hash >> 32) % 3) - 1;
}

/* Up to 16.8 ms, some of them below the least that is granted. Rust makes 1 ns of none. */
static int slice(u64 hash)
{
	u32 ns = (hash >> 32) & 0xffffff;

	return hash >> 63 ? ns ?: 1 : 0;
}

SEC("struct_ops")
int BPF_PROG(mirror_wakeup, struct task_struct *curr, struct task_struct *p,
	     u64 wake_flags, const struct bpf_sched_policy *this)
{
	u64 hash = add_flags(begin(this), wake_flags);

	hash = add_task(hash, curr, this->cgroup_id);
	return wakeup(add_task(hash, p, this->cgroup_id));
}

SEC("struct_ops")
int BPF_PROG(mirror_entity, struct sched_entity *curr, struct sched_entity *se,
	     u64 wake_flags, const struct bpf_sched_policy *this)
{
	u64 hash = add_flags(begin(this), wake_flags);

	hash = add_entity(hash, curr, this->cgroup_id);
	return wakeup(add_entity(hash, se, this->cgroup_id));
}

SEC("struct_ops")
int BPF_PROG(mirror_tick, struct sched_entity *curr, unsigned long delta_exec,
	     const struct bpf_sched_policy *this)
{
	u64 hash = add_entity(begin(this), curr, this->cgroup_id);

	return tick(add(hash, delta_exec));
}

SEC("struct_ops")
int BPF_PROG(mirror_slice, struct sched_entity *se, u64 stock,
	     const struct bpf_sched_policy *this)
{
	u64 hash = add_entity(begin(this), se, this->cgroup_id);

	return slice(add(hash, stock));
}

SEC(".struct_ops.link")
struct bpf_sched_ops mirror = {
	.cfs_check_preempt_wakeup	= (void *)mirror_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)mirror_entity,
	.cfs_check_preempt_tick		= (void *)mirror_tick,
	.cfs_slice			= (void *)mirror_slice,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "bpf_mirror",
};

char LICENSE[] SEC("license") = "GPL";
