// SPDX-License-Identifier: GPL-2.0
/*
 * Records the questions of the fair class with what policies may read of them: a policy of
 * its own, which has no opinion and is asked right before the one that is recorded, on the
 * same CPU, with the same locks held. What that answers is seen where its programs return.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* As in recording.rs. */
#define MAX_SPANS	64
#define MAX_IMAGE	2048
#define MAX_LEVELS	8
#define MAX_CPUS	64

/* Set before it is loaded: bytes of task_struct, which make an image of a task. */
struct span {
	u32 offset;
	u32 size;
};

const volatile struct span spans[MAX_SPANS];
const volatile u32 nr_spans;
const volatile u32 image_size;

enum kind {
	QUESTION = 1,
	ANSWER,
};

struct record {
	u32 kind;
	u32 hook;		/* by its place in bpf_sched_hooks.h */
	u64 seq;		/* of the question, never 0 */
	u64 time;		/* in nanoseconds, of CLOCK_MONOTONIC */
	u32 cpu;
	s32 answer;
};

struct question {
	struct record r;
	u64 current_tgidpid;
	u64 current;		/* address of its task */
	u64 args[4];		/* as they are, without "this" */
	u64 idle;		/* CPUs below MAX_CPUS that are, where a CPU is asked for */
};

/* A task, as what may be called about it returns; its image follows. */
struct entity {
	u64 task;		/* address */
	s64 lag;
	u64 tgidpid;
	s32 eligible;
	u32 nr_runnable;
	u32 level;		/* of its cgroup: 0 is the root */
	u32 unused;
	u64 cgroups[MAX_LEVELS];	/* ids, from the root on */
	u64 allowed;		/* CPUs below MAX_CPUS that it may run on */
};

#define MAX_RECORD (sizeof(struct question) + 2 * (sizeof(struct entity) + MAX_IMAGE))

struct scratch {
	u64 seq;		/* of the last question here */
	u32 hook;
	u32 waits;		/* for the answer */
	u8 record[MAX_RECORD];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024 * 1024);
} records SEC(".maps");

/* How many records did not fit into the ring. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} lost SEC(".maps");

static struct scratch *scratch(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

static void submit(void *record, u64 size)
{
	u32 zero = 0;
	u64 *count;

	/* No wakeup from here: whoever reads looks now and then. */
	if (!bpf_ringbuf_output(&records, record, size, BPF_RB_NO_WAKEUP))
		return;
	count = bpf_map_lookup_elem(&lost, &zero);
	if (count)
		__sync_fetch_and_add(count, 1);
}

static struct question *begin(struct scratch *s, u32 hook)
{
	struct question *q = (void *)s->record;
	u32 cpu = bpf_get_smp_processor_id();

	s->hook = hook;
	s->seq = s->seq ? s->seq + 1 : ((u64)cpu << 48) + 1;
	s->waits = 1;

	q->r.kind = QUESTION;
	q->r.hook = hook;
	q->r.seq = s->seq;
	q->r.time = bpf_ktime_get_ns();
	q->r.cpu = cpu;
	q->r.answer = 0;
	q->current_tgidpid = bpf_get_current_pid_tgid();
	q->current = (u64)bpf_get_current_task();
	__builtin_memset(q->args, 0, sizeof(q->args));
	q->idle = 0;

	return q;
}

/* Where the entity of this number is in a record. */
#define ENTITY_AT(i) (sizeof(struct question) + (i) * (sizeof(struct entity) + image_size))

static __always_inline void add(struct scratch *s, struct sched_entity *se, u32 at)
{
	struct task_struct *p = (void *)se - bpf_core_field_offset(struct task_struct, se);
	struct cgroup *cgrp, *ancestor;
	struct entity *e;
	u32 i, pos;

	if (at > MAX_RECORD - sizeof(struct entity) - MAX_IMAGE)
		return;
	e = (void *)s->record + at;
	e->task = (u64)p;
	e->lag = bpf_sched_entity_lag(se);
	e->tgidpid = bpf_sched_entity_to_tgidpid(se);
	e->eligible = bpf_sched_entity_eligible(se);
	e->nr_runnable = bpf_sched_entity_nr_runnable(se);
	e->unused = 0;
	e->allowed = BPF_CORE_READ(p, cpus_ptr, bits[0]);

	cgrp = BPF_CORE_READ(p, cgroups, dfl_cgrp);
	e->level = BPF_CORE_READ(cgrp, level);
	for (i = 0; i < MAX_LEVELS; i++) {
		e->cgroups[i] = 0;
		if (i > e->level)
			continue;
		bpf_core_read(&ancestor, sizeof(ancestor), &cgrp->ancestors[i]);
		e->cgroups[i] = BPF_CORE_READ(ancestor, kn, id);
	}

	pos = at + sizeof(*e);
	for (i = 0; i < MAX_SPANS && i < nr_spans; i++) {
		u32 size = spans[i].size;

		if (size > MAX_IMAGE || pos > MAX_RECORD - size)
			break;
		bpf_probe_read_kernel(s->record + pos, size, (void *)p + spans[i].offset);
		pos += size;
	}
}

static __always_inline u64 idle_cpus(void)
{
	u64 idle = 0;
	u32 cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (bpf_sched_cpu_is_idle(cpu) == 1)
			idle |= 1ULL << cpu;

	return idle;
}

/* Two tasks, and one. */
#define SIZE_2	ENTITY_AT(2)
#define SIZE_1	ENTITY_AT(1)

static __always_inline void end(struct scratch *s, u32 size)
{
	if (size <= MAX_RECORD)
		submit(s->record, size);
}

static __always_inline int wakeup(u32 hook, struct sched_entity *curr, struct sched_entity *se,
				  u64 wake_flags)
{
	struct scratch *s = scratch();

	if (!s)
		return 0;
	begin(s, hook)->args[2] = wake_flags;
	add(s, curr, ENTITY_AT(0));
	add(s, se, ENTITY_AT(1));
	end(s, SIZE_2);

	return 0;
}

static __always_inline int request(u32 hook, struct sched_entity *se, u64 ns)
{
	struct scratch *s = scratch();

	if (!s)
		return 0;
	begin(s, hook)->args[1] = ns;
	add(s, se, ENTITY_AT(0));
	end(s, SIZE_1);

	return 0;
}

static __always_inline int placement(u32 hook, struct task_struct *p, u64 arg1, u64 arg2, u64 arg3)
{
	struct scratch *s = scratch();
	struct question *q;

	if (!s)
		return 0;
	q = begin(s, hook);
	q->args[1] = arg1;
	q->args[2] = arg2;
	q->args[3] = arg3;
	q->idle = idle_cpus();
	add(s, &p->se, ENTITY_AT(0));
	end(s, SIZE_1);

	return 0;
}

SEC("struct_ops")
int BPF_PROG(record_wakeup, struct task_struct *curr, struct task_struct *p, u64 wake_flags)
{
	return wakeup(0, &curr->se, &p->se, wake_flags);
}

SEC("struct_ops")
int BPF_PROG(record_entity, struct sched_entity *curr, struct sched_entity *se, u64 wake_flags)
{
	return wakeup(1, curr, se, wake_flags);
}

SEC("struct_ops")
int BPF_PROG(record_tick, struct sched_entity *curr, unsigned long delta_exec)
{
	return request(2, curr, delta_exec);
}

SEC("struct_ops")
int BPF_PROG(record_slice, struct sched_entity *se, u64 slice)
{
	return request(3, se, slice);
}

SEC("struct_ops")
int BPF_PROG(record_select, struct task_struct *p, u64 prev_cpu, u64 wake_flags, u64 stock_cpu)
{
	return placement(4, p, prev_cpu, wake_flags, stock_cpu);
}

SEC("struct_ops")
int BPF_PROG(record_migrate, struct task_struct *p, u64 src_cpu, u64 dst_cpu, u64 hot)
{
	return placement(5, p, src_cpu, dst_cpu, hot);
}

SEC(".struct_ops.link")
struct bpf_sched_ops record = {
	.cfs_check_preempt_wakeup	= (void *)record_wakeup,
	.cfs_wakeup_preempt_entity	= (void *)record_entity,
	.cfs_check_preempt_tick		= (void *)record_tick,
	.cfs_slice			= (void *)record_slice,
	.cfs_select_cpu			= (void *)record_select,
	.cfs_can_migrate		= (void *)record_migrate,
	.flags				= BPF_SCHED_F_SHADOW,
	.name				= "record",
};

/* Where a program of the policy returns: the answer to the last question here. */
static __always_inline int answered(u32 hook, void *ctx)
{
	struct record r = { .kind = ANSWER, .hook = hook };
	struct scratch *s = scratch();
	u64 answer;

	if (!s || !s->waits || s->hook != hook || bpf_get_func_ret(ctx, &answer))
		return 0;
	s->waits = 0;
	r.answer = answer;
	r.seq = s->seq;
	r.cpu = bpf_get_smp_processor_id();
	submit(&r, sizeof(r));

	return 0;
}

/* A program for each hook, which is loaded if the policy answers that. */
#define ANSWERED(hook)						\
SEC("fexit")							\
int answered_##hook(void *ctx)					\
{								\
	return answered(hook, ctx);				\
}

ANSWERED(0)
ANSWERED(1)
ANSWERED(2)
ANSWERED(3)
ANSWERED(4)
ANSWERED(5)

char LICENSE[] SEC("license") = "GPL";
