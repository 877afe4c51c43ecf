// SPDX-License-Identifier: GPL-2.0
/*
 * Counts how long the tasks of a cgroup, or all tasks, wait for a CPU: waits after a wakeup as
 * a histogram, and all waits, also those of preempted tasks, as a sum.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Set before it is loaded: the id of the cgroup, or 0 for all tasks. */
const volatile u64 cgroup_id;

/* As in waits.rs: each power of two has so many buckets, and waits end at 2^40 ns. */
#define SUB_BITS	5
#define BUCKETS		((40 - SUB_BITS + 1) << SUB_BITS)

/* Cgroups deeper below the measured one are left out. */
#define MAX_DEPTH	32

struct waits {
	u64 wakeups;		/* waits from a wakeup on */
	u64 wakeup_ns;		/* their sum */
	u64 wait_ns;		/* of all waits */
	u64 buckets[BUCKETS];	/* waits from a wakeup on, by length */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct waits);
} waits SEC(".maps");

struct since {
	u64 ns;			/* when it began to wait, 0 if it does not */
	bool woken;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct since);
} since SEC(".maps");

static bool measured(struct task_struct *p)
{
	struct cgroup_subsys_state *parent;
	struct cgroup *cgrp;
	int i;

	/* The idle tasks wait for nothing. */
	if (!p->pid)
		return false;
	if (!cgroup_id)
		return true;

	cgrp = p->cgroups->dfl_cgrp;
	for (i = 0; i < MAX_DEPTH; i++) {
		if (cgrp->kn->id == cgroup_id)
			return true;
		parent = cgrp->self.parent;
		if (!parent)
			return false;
		cgrp = parent->cgroup;
	}
	return false;
}

static void begin(struct task_struct *p, bool woken)
{
	struct since *s;

	if (!measured(p))
		return;
	s = bpf_task_storage_get(&since, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s)
		return;
	s->ns = bpf_ktime_get_ns();
	s->woken = woken;
}

static u32 bucket(u64 ns)
{
	u32 shift = 0;

	if (ns >= 1ULL << 40)
		return BUCKETS - 1;
	/* The highest SUB_BITS + 1 bits say which. */
	while (ns >> shift >= 2 << SUB_BITS && shift < 40 - SUB_BITS)
		shift++;
	return (shift << SUB_BITS) + (ns >> shift);
}

static void end(struct task_struct *p)
{
	struct since *s = bpf_task_storage_get(&since, p, NULL, 0);
	struct waits *w;
	u32 key = 0;
	u64 ns;

	if (!s || !s->ns)
		return;
	ns = bpf_ktime_get_ns() - s->ns;
	s->ns = 0;
	w = bpf_map_lookup_elem(&waits, &key);
	if (!w)
		return;
	w->wait_ns += ns;
	if (s->woken) {
		u32 b = bucket(ns);

		w->wakeups++;
		w->wakeup_ns += ns;
		if (b < BUCKETS)
			w->buckets[b]++;
	}
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(wait_wakeup, struct task_struct *p)
{
	begin(p, true);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(wait_wakeup_new, struct task_struct *p)
{
	begin(p, true);
	return 0;
}

/*
 * A task that is woken while it still runs does not wait: begin() starts its wait anew here,
 * or the wait is dropped.
 */
SEC("tp_btf/sched_switch")
int BPF_PROG(wait_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	struct since *s;

	if (preempt || !prev_state) {
		begin(prev, false);
	} else {
		s = bpf_task_storage_get(&since, prev, NULL, 0);
		if (s)
			s->ns = 0;
	}
	end(next);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
