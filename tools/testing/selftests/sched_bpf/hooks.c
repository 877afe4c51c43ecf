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
#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define TICK		"cfs_check_preempt_tick"
#define SLICE		"cfs_slice"

FIXTURE(tick) {
	struct answer *skel;
	uint64_t max_slice_ns;
};

FIXTURE_SETUP(tick)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->max_slice_ns = get_knob("max_slice_ns");
	ASSERT_EQ(0, set_knob("max_slice_ns", MAX_SLICE_NS));
}

FIXTURE_TEARDOWN(tick)
{
	answer__destroy(self->skel);
	set_knob("max_slice_ns", self->max_slice_ns);
}

TEST_F(tick, negative_extends_slice)
{
	uint64_t stock, kept, after;
	struct bpf_link *link;
	struct counters c;

	stock = hog_switches(NULL, 0);
	self->skel->bss->tick_answer = -1;
	link = attach_root(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	kept = hog_switches(NULL, 0);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);
	after = hog_switches(NULL, 0);

	TH_LOG("switches: default %lu, extended %lu, after %lu", stock, kept, after);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.negative);
	EXPECT_GT(stock, 4 * kept);
	EXPECT_GT(2 * after, stock);
	EXPECT_EQ(-ENOENT, read_counters("answer_tick", TICK, &c));
}

TEST_F(tick, positive_ends_slice)
{
	const uint64_t slice = 50 * NSEC_PER_MSEC;
	uint64_t stock, ended, after;
	struct bpf_link *link;
	struct counters c;

	stock = hog_switches(NULL, slice);
	self->skel->bss->tick_answer = 1;
	link = attach_root(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	ended = hog_switches(NULL, slice);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);
	after = hog_switches(NULL, slice);

	TH_LOG("switches: default %lu, ended %lu, after %lu", stock, ended, after);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.positive);
	EXPECT_GT(ended, 4 * stock);
	EXPECT_LT(after, 2 * stock + 10);
}

TEST_F(tick, zero_keeps_default)
{
	struct bpf_link *link;
	uint64_t stock, none;
	struct counters c;

	stock = hog_switches(NULL, 0);
	link = attach_root(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	none = hog_switches(NULL, 0);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);

	TH_LOG("switches: default %lu, with 0 %lu", stock, none);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.zero);
	EXPECT_EQ(0, c.rejected);
	EXPECT_GT(2 * none, stock);
	EXPECT_LT(none, 2 * stock);
	EXPECT_GT(self->skel->bss->max_delta_exec, 0);
}

TEST_F(tick, skips_lone_task)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hog = {};
	struct bpf_link *link;
	struct counters c;

	ASSERT_EQ(0, load_start(&hog, &attr));
	self->skel->bss->only_tgid = hog.pid;
	self->skel->bss->tick_answer = -1;
	link = attach_root(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);
	load_stop(&hog);

	/* Kernel threads wait now and then; there are 1000 ticks. */
	TH_LOG("%lu calls for the hog", c.negative);
	EXPECT_LT(c.negative, 600);
}

FIXTURE(slice) {
	struct answer *skel;
	uint64_t base_slice, max_slice_ns;
};

FIXTURE_SETUP(slice)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->max_slice_ns = get_knob("max_slice_ns");
	ASSERT_EQ(0, set_knob("max_slice_ns", MAX_SLICE_NS));
	/* Longer than a tick, so that a shorter one makes a difference. */
	self->base_slice = get_knob(BASE_SLICE);
	ASSERT_EQ(0, set_knob(BASE_SLICE, 10 * NSEC_PER_MSEC));
}

FIXTURE_TEARDOWN(slice)
{
	answer__destroy(self->skel);
	set_knob("max_slice_ns", self->max_slice_ns);
	if (self->base_slice)
		set_knob(BASE_SLICE, self->base_slice);
}

/* Switches between two hogs without the policy, with this slice, and after it. */
#define slice_switches(answer, n, c) ({						\
	struct bpf_link *link;							\
										\
	n[0] = hog_switches(NULL, 0);						\
	self->skel->bss->slice_answer = answer;					\
	link = attach_root(self->skel->maps.only_slice);		\
	ASSERT_NE(NULL, link);							\
	n[1] = hog_switches(NULL, 0);						\
	ASSERT_EQ(0, read_counters("answer_slice", SLICE, c));			\
	bpf_link__destroy(link);						\
	n[2] = hog_switches(NULL, 0);						\
	TH_LOG("switches: default %lu, with slices of %d us %lu, after %lu",	\
	       n[0], self->skel->bss->slice_answer / 1000, n[1], n[2]);		\
})

TEST_F(slice, longer_than_base)
{
	struct counters c;
	uint64_t n[3];

	slice_switches(80 * NSEC_PER_MSEC, n, &c);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.positive);
	EXPECT_EQ(0, c.rejected);
	EXPECT_GT(n[0], 4 * n[1]);
	EXPECT_GT(n[2], 4 * n[1]);
}

TEST_F(slice, shorter_than_base)
{
	struct counters c;
	uint64_t n[3];

	slice_switches(NSEC_PER_MSEC / 5, n, &c);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.positive);
	EXPECT_EQ(0, c.rejected);
	EXPECT_GT(n[1], 3 * n[0]);
	EXPECT_GT(n[1], 3 * n[2]);
}

TEST_F(slice, zero_keeps_base)
{
	struct counters c;
	uint64_t n[3];

	slice_switches(0, n, &c);
	EXPECT_GT(c.calls, 10);
	EXPECT_EQ(c.calls, c.zero);
	EXPECT_GT(2 * n[1], n[0]);
	EXPECT_LT(n[1], 2 * n[0]);
	EXPECT_GT(self->skel->bss->slices, 10);
	EXPECT_EQ(10 * NSEC_PER_MSEC, self->skel->bss->base_slice);
}

TEST_F(slice, skips_custom_slice)
{
	const struct load_attr attrs[2] = {
		{ .kind = HOG, .slice_ns = 20 * NSEC_PER_MSEC }, { .kind = HOG },
	};
	const struct load_attr sleeper_attr = {
		.kind = SLEEPER, .slice_ns = 20 * NSEC_PER_MSEC,
	};
	struct load hogs[2], sleeper = {};
	struct bpf_link *link;
	struct counters c;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attrs[i]));
	self->skel->bss->only_tgid = hogs[0].pid;
	link = attach_root(self->skel->maps.only_slice);
	ASSERT_NE(NULL, link);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, self->skel->bss->slices);
	/* Nor is it called in place_entity(). */
	ASSERT_EQ(0, load_start(&sleeper, &sleeper_attr));
	self->skel->bss->only_tgid = sleeper.pid;
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, self->skel->bss->slices);
	/* A control. */
	self->skel->bss->only_tgid = hogs[1].pid;
	sleep_ms(PHASE_MS);
	EXPECT_GT(self->skel->bss->slices, 10);
	ASSERT_EQ(0, read_counters("answer_slice", SLICE, &c));
	EXPECT_GT(c.calls, 0);
	bpf_link__destroy(link);
	load_stop(&sleeper);
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

TEST_F(slice, called_for_wakee)
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
	TH_LOG("%llu calls in %lu rounds", self->skel->bss->slices, sleeper.stats->rounds);
	EXPECT_GT(self->skel->bss->slices, 10);
	bpf_link__destroy(link);
	load_stop(&sleeper);
	load_stop(&hog);
}

FIXTURE(wakeup) {
	struct answer *skel;
	struct bpf_map *map;
};

FIXTURE_VARIANT(wakeup) {
	const char *policy;
	const char *hook;
};

FIXTURE_VARIANT_ADD(wakeup, task) {
	.policy = "answer_wakeup",
	.hook = WAKEUP,
};

FIXTURE_VARIANT_ADD(wakeup, entity) {
	.policy = "answer_entity",
	.hook = ENTITY,
};

FIXTURE_SETUP(wakeup)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->map = strcmp(variant->hook, WAKEUP) ? self->skel->maps.only_entity :
						    self->skel->maps.only_wakeup;
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
	const uint64_t slice = 100 * NSEC_PER_MSEC;
	struct rounds stock, batch, denied, after;
	struct bpf_link *link;
	struct counters c;

	stock = sleeper_rounds(NULL, 1, slice);
	batch = batch_rounds(1, slice);
	set_answer(self->skel, -1);
	link = attach_root(self->map);
	ASSERT_NE(NULL, link);
	denied = sleeper_rounds(NULL, 1, slice);
	ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c));
	bpf_link__destroy(link);
	after = sleeper_rounds(NULL, 1, slice);

	TH_LOG("rounds: default %lu, batch %lu, denied %lu, after %lu", stock.all, batch.all,
	       denied.all, after.all);
	EXPECT_GT(c.calls, 0);
	EXPECT_LE(c.calls, c.negative + CALLS_IN_FLIGHT);
	EXPECT_GT(stock.all, denied.all * 5 / 4);
	EXPECT_GT(after.all, denied.all * 5 / 4);
	EXPECT_GT(denied.all, batch.all * 3 / 4);
	EXPECT_LT(denied.all, batch.all * 5 / 4);
}

/*
 * With several hogs the sleeper often waits by default. Tried again if the machine was
 * too busy to tell: without an effect the ratios of late rounds differ by less than a third.
 */
TEST_F(wakeup, positive_preempts)
{
	struct rounds stock, preempting, after;
	struct bpf_link *link;
	struct counters c;
	int tries = 3;

	do {
		stock = sleeper_rounds(NULL, MAX_HOGS, 0);
		set_answer(self->skel, 1);
		link = attach_root(self->map);
		ASSERT_NE(NULL, link);
		preempting = sleeper_rounds(NULL, MAX_HOGS, 0);
		ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c));
		bpf_link__destroy(link);
		after = sleeper_rounds(NULL, MAX_HOGS, 0);

		TH_LOG("late: default %lu of %lu, preempting %lu of %lu, after %lu of %lu",
		       stock.late, stock.all, preempting.late, preempting.all,
		       after.late, after.all);
		EXPECT_GT(c.calls, 0);
		EXPECT_EQ(c.calls, c.positive);
	} while (!(is_prompter(preempting, stock) && is_prompter(preempting, after)) && --tries);

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
	struct counters c[3];
	struct answer *skel;
	char preempt[128];
	int flags[2], i;

	if (read_file("/sys/kernel/debug/sched/preempt", preempt, sizeof(preempt)) ||
	    !strstr(preempt, "(lazy)"))
		SKIP(return, "the kernel does not preempt lazily");
	skel = answer__open();
	ASSERT_NE(NULL, skel);
	bpf_program__set_autoload(skel->progs.note_resched, true);
	ASSERT_EQ(0, answer__load(skel));
	tracer = bpf_program__attach(skel->progs.note_resched);
	ASSERT_NE(NULL, tracer);
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	skel->bss->only_tgid = sleeper.pid;
	set_answer(skel, 1);
	link = attach_root(strcmp(variant->hook, WAKEUP) ?
					  skel->maps.only_entity : skel->maps.only_wakeup);
	ASSERT_NE(NULL, link);
	ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c[0]));
	for (i = 0; i < 2; i++) {
		set_answer(skel, 1 + i);
		memset(skel->bss->resched_flags, 0, sizeof(skel->bss->resched_flags));
		sleep_ms(PHASE_MS);
		flags[i] = usual_flag(skel);
		ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c[i + 1]));
	}
	bpf_link__destroy(link);
	bpf_link__destroy(tracer);
	answer__destroy(skel);
	load_stop(&sleeper);
	load_stop(&hog);

	TH_LOG("preempts by flag %d, now by flag %d", flags[0], flags[1]);
	for (i = 0; i < 2; i++) {
		EXPECT_GT(c[i + 1].positive - c[i].positive, 50);
		EXPECT_GE(flags[i], 0);
	}
	EXPECT_NE(flags[0], flags[1]);
}

TEST_F(wakeup, zero_keeps_default)
{
	const uint64_t slice = 100 * NSEC_PER_MSEC;
	struct rounds stock, none;
	struct bpf_link *link;
	struct counters c;

	stock = sleeper_rounds(NULL, 1, slice);
	link = attach_root(self->map);
	ASSERT_NE(NULL, link);
	none = sleeper_rounds(NULL, 1, slice);
	ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c));
	bpf_link__destroy(link);

	TH_LOG("rounds: default %lu, with 0 %lu", stock.all, none.all);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.zero);
	EXPECT_EQ(0, c.rejected);
	EXPECT_GT(2 * none.all, stock.all);
	EXPECT_LT(none.all, 2 * stock.all);
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

	if (strcmp(variant->hook, WAKEUP))
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
