// SPDX-License-Identifier: GPL-2.0
/*
 * Each hook is called, each sign of its return value has its effect as seen from user
 * space, and the default comes back when the policy is detached.
 */
#define _GNU_SOURCE
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define PHASE_MS	1000
#define MAX_SLICE_NS	(100 * NSEC_PER_MSEC)	/* the most that can be set */

/* A figure before the policy is attached, while it is, and afterwards. */
struct effect {
	uint64_t before, with, after;
};

#define MEASURE(map, calls, figure) ({						\
	struct effect e = { .before = figure };					\
	struct bpf_link *attached = attach_root(map);				\
										\
	ASSERT_NE(NULL, attached);						\
	e.with = figure;							\
	bpf_link__destroy(attached);						\
	e.after = figure;							\
	TH_LOG("%s: default %lu, with the policy %lu, after it %lu", #figure,	\
	       e.before, e.with, e.after);					\
	EXPECT_GT(self->skel->bss->calls, 0);					\
	e;									\
})

FIXTURE(hooks) {
	struct answer *skel;
	uint64_t base_slice, max_slice_ns;
};

FIXTURE_SETUP(hooks)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice_ns = get_knob("max_slice_ns");
	ASSERT_EQ(0, set_knob("max_slice_ns", MAX_SLICE_NS));
	self->base_slice = get_knob(BASE_SLICE);
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(hooks)
{
	answer__destroy(self->skel);
	set_knob("max_slice_ns", self->max_slice_ns);
	set_knob(BASE_SLICE, self->base_slice);
}

TEST_F(hooks, tick_negative_extends_slice)
{
	struct effect e;

	self->skel->bss->tick_answer = -1;
	e = MEASURE(self->skel->maps.only_tick, tick_calls, hog_switches(NULL, 0));
	EXPECT_GT(e.before, 4 * e.with);
	EXPECT_GT(2 * e.after, e.before);
	EXPECT_GT(self->skel->bss->max_delta_exec, 0);
}

TEST_F(hooks, tick_positive_ends_slice)
{
	struct effect e;

	self->skel->bss->tick_answer = 1;
	e = MEASURE(self->skel->maps.only_tick, tick_calls,
		    hog_switches(NULL, 50 * NSEC_PER_MSEC));
	EXPECT_GT(e.with, 4 * e.before);
	EXPECT_LT(e.after, 2 * e.before + 10);
}

TEST_F(hooks, tick_skips_lone_task)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hog = {};
	struct bpf_link *link;
	uint64_t calls;

	ASSERT_EQ(0, load_start(&hog, &attr));
	self->skel->bss->only_tgid = hog.pid;
	self->skel->bss->tick_answer = -1;
	link = attach_root(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	sleep_ms(PHASE_MS);
	calls = self->skel->bss->tick_calls;
	bpf_link__destroy(link);
	load_stop(&hog);

	/* Kernel threads wait now and then; there are 1000 ticks. */
	TH_LOG("%lu calls for the hog", calls);
	EXPECT_LT(calls, 600);
}

TEST_F(hooks, slice_of_any_length)
{
	struct effect e;

	/* Longer than a tick, so that a shorter one makes a difference. */
	ASSERT_EQ(0, set_knob(BASE_SLICE, 10 * NSEC_PER_MSEC));
	self->skel->bss->slice_answer = 80 * NSEC_PER_MSEC;
	e = MEASURE(self->skel->maps.only_slice, slice_calls, hog_switches(NULL, 0));
	EXPECT_EQ(10 * NSEC_PER_MSEC, self->skel->bss->base_slice);
	EXPECT_GT(e.before, 4 * e.with);
	EXPECT_GT(e.after, 4 * e.with);
	self->skel->bss->slice_answer = NSEC_PER_MSEC / 5;
	e = MEASURE(self->skel->maps.only_slice, slice_calls, hog_switches(NULL, 0));
	EXPECT_GT(e.with, 3 * e.before);
	EXPECT_GT(e.with, 3 * e.after);
}

TEST_F(hooks, slice_skips_custom)
{
	const struct load_attr attrs[3] = {
		{ .kind = HOG, .slice_ns = 20 * NSEC_PER_MSEC },
		{ .kind = SLEEPER, .slice_ns = 20 * NSEC_PER_MSEC },
		{ .kind = HOG },
	};
	struct load loads[3] = {};
	struct bpf_link *link;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, load_start(&loads[i], &attrs[i]));
	link = attach_root(self->skel->maps.only_slice);
	ASSERT_NE(NULL, link);
	/* The last one is a control. */
	for (i = 0; i < 3; i++) {
		self->skel->bss->only_tgid = loads[i].pid;
		self->skel->bss->slice_calls = 0;
		sleep_ms(PHASE_MS / 2);
		EXPECT_EQ(i == 2, self->skel->bss->slice_calls > 10);
		EXPECT_EQ(i < 2, self->skel->bss->slice_calls == 0);
	}
	bpf_link__destroy(link);
	for (i = 0; i < 3; i++)
		load_stop(&loads[i]);
}

TEST_F(hooks, slice_begins_at_wakeup)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = SLEEPER };
	struct load hog = {}, sleeper = {};
	struct bpf_link *link;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	self->skel->bss->only_tgid = sleeper.pid;
	link = attach_root(self->skel->maps.only_slice);
	ASSERT_NE(NULL, link);
	sleep_ms(PHASE_MS);
	TH_LOG("%llu calls in %lu rounds", self->skel->bss->slice_calls, sleeper.stats->rounds);
	EXPECT_GT(self->skel->bss->slice_calls, 10);
	bpf_link__destroy(link);
	load_stop(&sleeper);
	load_stop(&hog);
}

TEST_F(hooks, zero_keeps_default)
{
	struct effect e;

	e = MEASURE(self->skel->maps.all_hooks, tick_calls, hog_switches(NULL, 0));
	EXPECT_GT(2 * e.with, e.before);
	EXPECT_LT(e.with, 2 * e.before);
	e = MEASURE(self->skel->maps.all_hooks, wakeup_calls,
		    sleeper_rounds(NULL, 1, MAX_SLICE_NS).all);
	EXPECT_GT(2 * e.with, e.before);
	EXPECT_LT(e.with, 2 * e.before);
}

FIXTURE(wakeup) {
	struct answer *skel;
	struct bpf_map *map;
};

FIXTURE_VARIANT(wakeup) {
	bool entity;	/* cfs_wakeup_preempt_entity() */
};

FIXTURE_VARIANT_ADD(wakeup, task) {
	.entity = false,
};

FIXTURE_VARIANT_ADD(wakeup, entity) {
	.entity = true,
};

FIXTURE_SETUP(wakeup)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open();
	ASSERT_NE(NULL, self->skel);
	bpf_program__set_autoload(self->skel->progs.note_resched, true);
	ASSERT_EQ(0, answer__load(self->skel));
	self->map = variant->entity ? self->skel->maps.only_entity : self->skel->maps.only_wakeup;
}

FIXTURE_TEARDOWN(wakeup)
{
	answer__destroy(self->skel);
}

static void set_answer(struct answer *skel, int answer)
{
	skel->bss->wakeup_answer = answer;
	skel->bss->entity_answer = answer;
}

/* The sleeper preempts a hog with negative lag by default; with -1 it waits as SCHED_BATCH. */
TEST_F(wakeup, negative_as_batch)
{
	uint64_t batch = batch_rounds(1, MAX_SLICE_NS).all;
	struct effect e;

	set_answer(self->skel, -1);
	e = MEASURE(self->map, wakeup_calls + self->skel->bss->entity_calls,
		    sleeper_rounds(NULL, 1, MAX_SLICE_NS).all);
	TH_LOG("SCHED_BATCH %lu", batch);
	EXPECT_GT(e.before, e.with * 5 / 4);
	EXPECT_GT(e.after, e.with * 5 / 4);
	EXPECT_GT(e.with, batch * 3 / 4);
	EXPECT_LT(e.with, batch * 5 / 4);
}

/* Rounds in 1000 that wait, next to several hogs. */
static uint64_t late_rounds(void)
{
	struct rounds r = sleeper_rounds(NULL, MAX_HOGS, 0);

	return r.all ? r.late * 1000 / r.all : 1000;
}

/* Tried again if the machine was too busy to tell. */
TEST_F(wakeup, positive_preempts)
{
	struct effect e;
	int tries = 3;

	set_answer(self->skel, 1);
	do {
		e = MEASURE(self->map, wakeup_calls + self->skel->bss->entity_calls,
			    late_rounds());
	} while ((3 * e.with > 2 * e.before || 3 * e.with > 2 * e.after) && --tries);

	EXPECT_GT(tries, 0);
}

/* The TIF_* that most wakeups set, or -1. */
static int usual_flag(const struct answer *skel)
{
	const unsigned long long *flags = skel->bss->resched_flags;
	int i, usual = 0;

	for (i = 1; i < 32; i++) {
		if (flags[i] > flags[usual])
			usual = i;
	}
	return flags[usual] > 50 ? usual : -1;
}

TEST_F(wakeup, two_preempts_at_once)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = SLEEPER };
	struct load hog = {}, sleeper = {};
	struct bpf_link *link, *tracer;
	char preempt[128];
	int flags[2], i;

	if (read_file("/sys/kernel/debug/sched/preempt", preempt, sizeof(preempt)) ||
	    !strstr(preempt, "(lazy)"))
		SKIP(return, "the kernel does not preempt lazily");
	tracer = bpf_program__attach(self->skel->progs.note_resched);
	ASSERT_NE(NULL, tracer);
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	self->skel->bss->only_tgid = sleeper.pid;
	link = attach_root(self->map);
	ASSERT_NE(NULL, link);
	for (i = 0; i < 2; i++) {
		set_answer(self->skel, 1 + i);
		memset(self->skel->bss->resched_flags, 0, sizeof(self->skel->bss->resched_flags));
		sleep_ms(PHASE_MS);
		flags[i] = usual_flag(self->skel);
	}
	bpf_link__destroy(link);
	bpf_link__destroy(tracer);
	load_stop(&sleeper);
	load_stop(&hog);

	TH_LOG("preempts by flag %d, at once by flag %d", flags[0], flags[1]);
	EXPECT_GE(flags[0], 0);
	EXPECT_GE(flags[1], 0);
	EXPECT_NE(flags[0], flags[1]);
}

/* curr is the current task of the wakee's CPU, and not this process on another CPU. */
TEST_F(wakeup, curr_is_not_the_waker)
{
	const struct load_attr hog_attr = { .kind = HOG };
	struct load_attr attr = { .kind = READER };
	struct load hog = {}, reader = {};
	struct bpf_link *link;
	int i, fds[2];
	char c = 0;

	ASSERT_EQ(0, pipe(fds));
	attr.fd = fds[0];
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&reader, &attr));
	self->skel->bss->only_tgid = reader.pid;
	link = attach_root(self->map);
	ASSERT_NE(NULL, link);
	for (i = 0; i < 50 && self->skel->bss->curr_of_wakee != hog.pid; i++) {
		ASSERT_EQ(1, write(fds[1], &c, 1));
		sleep_ms(20);
		EXPECT_NE(getpid(), self->skel->bss->curr_of_wakee);
	}
	EXPECT_EQ(hog.pid, self->skel->bss->curr_of_wakee);
	bpf_link__destroy(link);
	load_stop(&reader);
	load_stop(&hog);
	close(fds[0]);
	close(fds[1]);
}

/* The flags of wakeups of this load and its children. */
#define wake_flags(load_kind) ({						\
	const struct load_attr attr = { .kind = load_kind };			\
	struct load load = {};							\
										\
	ASSERT_EQ(0, load_start(&load, &attr));					\
	self->skel->bss->only_tgid = load.pid;					\
	sleep_ms(PHASE_MS / 2);							\
	self->skel->bss->seen_wake_flags = 0;					\
	sleep_ms(PHASE_MS / 2);							\
	load_stop(&load);							\
	TH_LOG("flags of wakeups by " #load_kind ": 0x%llx",			\
	       self->skel->bss->seen_wake_flags);				\
	self->skel->bss->seen_wake_flags;					\
})

TEST_F(wakeup, passes_wake_flags)
{
	struct load_attr attr = { .kind = READER };
	const struct load_attr hog_attr = { .kind = HOG };
	struct load hog = {}, reader = {};
	struct bpf_link *link;
	uint64_t flags;
	int fds[2], i;
	char c = 0;

	if (variant->entity)
		SKIP(return, "cfs_wakeup_preempt_entity() has no flags");
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	link = attach_root(self->map);
	ASSERT_NE(NULL, link);

	flags = wake_flags(PIPE_PONG);
	EXPECT_TRUE(flags & BPF_SCHED_WAKE_SYNC);
	EXPECT_FALSE(flags & BPF_SCHED_WAKE_FORK);
	flags = wake_flags(FORKER);
	EXPECT_TRUE(flags & BPF_SCHED_WAKE_FORK);
	flags = wake_flags(SLEEPER);
	EXPECT_NE(0, flags);
	EXPECT_FALSE(flags & (BPF_SCHED_WAKE_FORK | BPF_SCHED_WAKE_SYNC |
			      BPF_SCHED_WAKE_MIGRATED));

	/* It falls asleep on one CPU and wakes on the other. */
	ASSERT_EQ(0, pipe(fds));
	attr.fd = fds[0];
	attr.on_test_cpu = true;
	ASSERT_EQ(0, load_start(&reader, &attr));
	self->skel->bss->only_tgid = reader.pid;
	self->skel->bss->seen_wake_flags = 0;
	for (i = 0; i < 20 && !(self->skel->bss->seen_wake_flags & BPF_SCHED_WAKE_MIGRATED); i++) {
		ASSERT_EQ(0, load_move_to_cpu(&reader, TEST_CPU));
		ASSERT_EQ(1, write(fds[1], &c, 1));
		sleep_ms(20);
		ASSERT_EQ(0, load_move_to_cpu(&reader, LOAD_CPU));
		ASSERT_EQ(1, write(fds[1], &c, 1));
		sleep_ms(20);
	}
	EXPECT_TRUE(self->skel->bss->seen_wake_flags & BPF_SCHED_WAKE_MIGRATED);
	bpf_link__destroy(link);
	load_stop(&reader);
	load_stop(&hog);
	close(fds[0]);
	close(fds[1]);
}

TEST_HARNESS_MAIN
