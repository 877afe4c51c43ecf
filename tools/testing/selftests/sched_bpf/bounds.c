// SPDX-License-Identifier: GPL-2.0
/*
 * No answer, however hostile, keeps a task from running: each bound, and that it
 * is counted where it overrules.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"
#include "policy.h"

#define PHASE_MS	2000
#define WAKEUP		"cfs_check_preempt_wakeup"
#define TICK		"cfs_check_preempt_tick"
#define SLICE		"cfs_slice"

FIXTURE(bounds) {
	struct answer *skel;
	struct bpf_link *link;
	uint64_t max_slice, base_slice;
};

FIXTURE_SETUP(bounds)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice = get_knob("max_slice_ns");
	ASSERT_NE(0, self->max_slice);
	self->base_slice = get_knob(BASE_SLICE);
	ASSERT_NE(0, self->base_slice);
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(bounds)
{
	bpf_link__destroy(self->link);
	answer__destroy(self->skel);
	if (self->max_slice)
		set_knob("max_slice_ns", self->max_slice);
	if (self->base_slice)
		set_knob(BASE_SLICE, self->base_slice);
}

/* Give these answers to every question about @tgid, 0: about any task. */
#define attach(wakeup, entity, tick, tgid) ({					\
	self->skel->bss->wakeup_answer = wakeup;				\
	self->skel->bss->entity_answer = entity;				\
	self->skel->bss->tick_answer = tick;					\
	self->skel->bss->only_tgid = tgid;					\
	self->link = attach_root(self->skel->maps.all_hooks);	\
	ASSERT_NE(NULL, self->link);						\
})

static uint64_t percent(uint64_t a, uint64_t b)
{
	return a + b ? a * 100 / (a + b) : 0;
}

/* Everybody is to keep running: each still waits no longer than the bound. */
TEST_F(bounds, keep_running_ends)
{
	const uint64_t bound = 50 * NSEC_PER_MSEC;
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	uint64_t time[2], share;
	struct counters c;
	int i;

	ASSERT_EQ(0, set_knob("max_slice_ns", bound));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attr));
	attach(-1, -1, -1, 0);
	sleep_ms(200);
	for (i = 0; i < 2; i++) {
		time[i] = cpu_time_ns(hogs[i].pid);
		hogs[i].stats->max_gap_ns = 0;
	}
	sleep_ms(PHASE_MS);
	for (i = 0; i < 2; i++)
		time[i] = cpu_time_ns(hogs[i].pid) - time[i];
	share = percent(time[0], time[1]);
	TH_LOG("longest waits %lu and %lu us at a bound of %lu us, shares %lu and %lu %%",
	       hogs[0].stats->max_gap_ns / 1000, hogs[1].stats->max_gap_ns / 1000,
	       bound / 1000, share, 100 - share);
	for (i = 0; i < 2; i++) {
		/* It had to wait, and not for longer than the bound and noise. */
		EXPECT_GT(hogs[i].stats->max_gap_ns, bound / 2);
		EXPECT_LT(hogs[i].stats->max_gap_ns, 3 * bound);
	}
	EXPECT_GT(share, 40);
	EXPECT_LT(share, 60);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.rejected_slice, 0);
	EXPECT_EQ(c.rejected, c.rejected_slice + c.rejected_kthread);
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

/* No wakee is to preempt, and the hog is to go on: it still is served in time. */
TEST_F(bounds, do_not_preempt_ends)
{
	const uint64_t bound = 50 * NSEC_PER_MSEC;
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = SLEEPER };
	struct load hog = {}, sleeper = {};
	struct counters c;

	ASSERT_EQ(0, set_knob("max_slice_ns", bound));
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	attach(-1, -1, -1, 0);
	sleep_ms(200);
	sleeper.stats->max_gap_ns = 0;
	sleeper.stats->rounds = 0;
	sleep_ms(PHASE_MS);
	TH_LOG("longest wait %lu us at a bound of %lu us, %lu rounds",
	       sleeper.stats->max_gap_ns / 1000, bound / 1000, sleeper.stats->rounds);
	/* A hog that was ahead when the sleeper woke is extended for less. */
	EXPECT_GT(sleeper.stats->max_gap_ns, bound / 5);
	EXPECT_LT(sleeper.stats->max_gap_ns, 3 * bound);
	EXPECT_GT(sleeper.stats->rounds, PHASE_MS / 50 / 3);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.rejected_slice, 0);
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &c));
	EXPECT_GT(c.negative, 0);
	EXPECT_EQ(c.rejected, c.rejected_kthread);
	load_stop(&sleeper);
	load_stop(&hog);
}

/* The bound is what it is set to, and bad values change nothing. */
TEST_F(bounds, max_slice_is_settable)
{
	const uint64_t max = 100 * NSEC_PER_MSEC, min = NSEC_PER_MSEC / 10;
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	uint64_t few, many;
	int i;

	EXPECT_EQ(0, set_knob("max_slice_ns", min));
	EXPECT_EQ(min, get_knob("max_slice_ns"));
	EXPECT_EQ(0, set_knob("max_slice_ns", max));
	EXPECT_EQ(max, get_knob("max_slice_ns"));
	EXPECT_EQ(-EINVAL, set_knob("max_slice_ns", 0));
	EXPECT_EQ(-EINVAL, set_knob("max_slice_ns", min - 1));
	EXPECT_EQ(-EINVAL, set_knob("max_slice_ns", max + 1));
	EXPECT_EQ(-ERANGE, set_knob("max_slice_ns", ~0ULL));
	EXPECT_EQ(-EINVAL, write_file(BPF_SCHED_SYSFS "max_slice_ns", "soon"));
	EXPECT_EQ(max, get_knob("max_slice_ns"));

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attr));
	attach(-1, -1, -1, 0);
	few = switches(hogs[0].pid);
	sleep_ms(PHASE_MS);
	few = switches(hogs[0].pid) - few;
	ASSERT_EQ(0, set_knob("max_slice_ns", 5 * NSEC_PER_MSEC));
	sleep_ms(200);
	many = switches(hogs[0].pid);
	sleep_ms(PHASE_MS);
	many = switches(hogs[0].pid) - many;
	TH_LOG("switches at 100 ms: %lu, at 5 ms: %lu", few, many);
	EXPECT_GT(many, 4 * few);
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

/* Set slices of this length. Returns the switches of a hog and what was counted. */
#define answer_slice(answer, n, c) ({						\
	struct counters before;							\
										\
	self->skel->bss->slice_answer = answer;					\
	self->link = attach_root(self->skel->maps.only_slice);			\
	ASSERT_NE(NULL, self->link);						\
	ASSERT_EQ(0, read_counters("answer_slice", SLICE, &before));		\
	*(n) = hog_switches(NULL, 0);						\
	ASSERT_EQ(0, read_counters("answer_slice", SLICE, c));			\
	/* The counters are those of the map, which is attached again and again. */ \
	(c)->calls -= before.calls;						\
	(c)->negative -= before.negative;					\
	(c)->rejected -= before.rejected;					\
	(c)->rejected_slice -= before.rejected_slice;				\
	bpf_link__destroy(self->link);						\
	self->link = NULL;							\
	EXPECT_GT((c)->calls, 0);						\
	EXPECT_EQ((c)->rejected, (c)->rejected_slice);			\
	TH_LOG("slices of %d ns: %lu switches, rejected %lu of %lu", (int)(answer), \
	       *(n), (c)->rejected_slice, (c)->calls);				\
})

/* A request is as long as said, and no longer or shorter than the bounds. */
TEST_F(bounds, slice)
{
	const uint64_t max = 40 * NSEC_PER_MSEC, min = NSEC_PER_MSEC / 10;
	uint64_t stock, at_max, beyond, at_min, below, n;
	struct counters c;

	ASSERT_EQ(0, set_knob(BASE_SLICE, 10 * NSEC_PER_MSEC));
	ASSERT_EQ(0, set_knob("max_slice_ns", max));
	stock = hog_switches(NULL, 0);

	answer_slice(max, &at_max, &c);
	EXPECT_EQ(0, c.rejected);
	answer_slice(max + 1, &n, &c);
	EXPECT_EQ(c.calls, c.rejected);
	answer_slice(INT32_MAX, &beyond, &c);
	EXPECT_EQ(c.calls, c.rejected);
	/* It is the bound that counts, and not the stock size. */
	EXPECT_GT(stock, 2 * at_max);
	EXPECT_GT(stock, 2 * beyond);
	EXPECT_GT(2 * beyond, at_max);

	answer_slice(min, &at_min, &c);
	EXPECT_EQ(0, c.rejected);
	answer_slice(min - 1, &n, &c);
	EXPECT_EQ(c.calls, c.rejected);
	answer_slice(1, &below, &c);
	EXPECT_EQ(c.calls, c.rejected);
	EXPECT_GT(at_min, 2 * stock);
	EXPECT_GT(below, 2 * stock);
}

/* No size is below zero: it stays what it is. */
TEST_F(bounds, negative_slice)
{
	struct counters c;
	uint64_t stock, n;
	int i;

	stock = hog_switches(NULL, 0);
	for (i = 0; i < 2; i++) {
		answer_slice(i ? INT32_MIN : -1, &n, &c);
		EXPECT_EQ(c.calls, c.negative);
		EXPECT_EQ(c.calls, c.rejected);
		EXPECT_GT(2 * n, stock);
		EXPECT_LT(n, 2 * stock);
	}
}

/* A task that has a slice of its own does not get a longer one. */
TEST_F(bounds, custom_slice)
{
	const uint64_t slice = 5 * NSEC_PER_MSEC;
	struct counters c;
	uint64_t n[2];

	n[0] = hog_switches(NULL, slice);
	attach(-1, -1, -1, 0);
	n[1] = hog_switches(NULL, slice);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	TH_LOG("switches: stock %lu, kept %lu; rejected %lu of %lu", n[0], n[1],
	       c.rejected_custom, c.negative);
	EXPECT_GT(c.rejected_custom, 0);
	EXPECT_GT(2 * n[1], n[0]);
	EXPECT_LT(n[1], 2 * n[0]);
}

/* Who was picked just now is not to give way at once: threads that wake each other. */
TEST_F(bounds, end_of_short)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = PIPE_PONG };
	struct load hog = {}, pong = {};
	struct counters c;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&pong, &attr));
	attach(0, 0, 1, pong.pid);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	TH_LOG("%lu of %lu answers rejected", c.rejected_short, c.positive);
	EXPECT_GT(c.rejected_short, 0);
	EXPECT_EQ(c.rejected, c.rejected_short);
	load_stop(&pong);
	load_stop(&hog);
}

/*
 * Every wakee is to preempt, two threads do nothing but wake each other, and
 * every request is to end: the hog beside them keeps its part of the CPU.
 */
TEST_F(bounds, preempt_is_fair)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = PIPE_PONG };
	struct load hog = {}, pong = {};
	struct counters c;
	uint64_t time;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&pong, &attr));
	attach(1, 1, 1, 0);
	sleep_ms(200);
	time = cpu_time_ns(hog.pid);
	pong.stats->rounds = 0;
	sleep_ms(PHASE_MS);
	time = cpu_time_ns(hog.pid) - time;
	TH_LOG("hog %lu ms of %u, %lu pongs", time / NSEC_PER_MSEC, PHASE_MS,
	       pong.stats->rounds);
	EXPECT_GT(time, PHASE_MS * NSEC_PER_MSEC / 5);
	EXPECT_GT(pong.stats->rounds, 10);
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &c));
	EXPECT_GT(c.positive, 0);
	/* Whoever has had its part is to wait. */
	EXPECT_GT(c.rejected_eligible, 0);
	EXPECT_EQ(c.rejected, c.rejected_eligible);
	load_stop(&pong);
	load_stop(&hog);
}

/* A SCHED_IDLE task is not asked about: it gives way to one of a normal policy. */
TEST_F(bounds, idle_gives_way)
{
	const struct load_attr idle_attr = { .kind = HOG, .policy = SCHED_IDLE };
	const struct load_attr attr = { .kind = HOG };
	struct load idle = {}, normal = {};
	struct counters c;
	uint64_t a, b;

	ASSERT_EQ(0, load_start(&idle, &idle_attr));
	ASSERT_EQ(0, load_start(&normal, &attr));
	attach(-1, -1, -1, idle.pid);
	sleep_ms(200);
	a = cpu_time_ns(idle.pid);
	b = cpu_time_ns(normal.pid);
	sleep_ms(PHASE_MS);
	a = cpu_time_ns(idle.pid) - a;
	b = cpu_time_ns(normal.pid) - b;
	TH_LOG("idle task %lu %% of the CPU", percent(a, b));
	EXPECT_LT(percent(a, b), 15);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_EQ(0, c.negative);
	load_stop(&idle);
	load_stop(&normal);
}

/* Nobody is asked about a realtime task, and none is kept off the CPU. */
TEST_F(bounds, realtime_is_not_asked_about)
{
	const struct load_attr hog_attr = { .kind = HOG };
	const struct load_attr attr = { .kind = SLEEPER, .policy = SCHED_FIFO };
	struct load hog = {}, rt = {};
	uint64_t stock;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&rt, &attr));
	sleep_ms(PHASE_MS);
	stock = rt.stats->rounds;
	attach(-1, -1, -1, 0);
	rt.stats->rounds = 0;
	sleep_ms(PHASE_MS);
	TH_LOG("rounds: stock %lu, with the hog kept %lu", stock, rt.stats->rounds);
	/* Waiting for the end of each request it would have 20 rounds. */
	EXPECT_GT(rt.stats->rounds, stock / 2);
	load_stop(&rt);
	load_stop(&hog);
}

/* A task that yields is not kept against its own will. */
TEST_F(bounds, yield_is_honoured)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = YIELDER };
	struct load hog = {}, yielder = {};
	uint64_t stock, kept;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&yielder, &attr));
	stock = switches(yielder.pid);
	sleep_ms(PHASE_MS);
	stock = switches(yielder.pid) - stock;
	attach(-1, -1, -1, yielder.pid);
	kept = switches(yielder.pid);
	sleep_ms(PHASE_MS);
	kept = switches(yielder.pid) - kept;
	TH_LOG("switches: stock %lu, kept %lu", stock, kept);
	EXPECT_GT(kept, stock / 4);
	load_stop(&yielder);
	load_stop(&hog);
}

/* A wakeup's "preempt" goes before the request that the tick's "keep running" made. */
TEST_F(bounds, preempt_goes_before_keep)
{
	const struct load_attr hog_attr = { .kind = HOG };
	const struct load_attr attr = { .kind = SLEEPER, .work_ns = 50 * 1000 };
	struct load hogs[2] = {}, sleeper = {};
	struct counters c;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	attach(1, 1, -1, 0);
	sleep_ms(200);
	sleeper.stats->rounds = 0;
	sleeper.stats->prompt = 0;
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &c));
	TH_LOG("%lu rounds, %lu of them prompt; %lu wakeups, %lu rejected",
	       sleeper.stats->rounds, sleeper.stats->prompt, c.calls, c.rejected);
	EXPECT_GT(c.positive, 0);
	EXPECT_GT(sleeper.stats->rounds, PHASE_MS / 10);
	EXPECT_GT(sleeper.stats->prompt, sleeper.stats->rounds / 2);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.negative, 0);
	load_stop(&sleeper);
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

/*
 * Most machines end requests by the hrtick, which reschedules whatever was answered, unless
 * it is kept from that. All of the above is to be seen with it.
 */
TEST(timers_are_precise)
{
	struct timespec resolution;

	ASSERT_EQ(0, clock_getres(CLOCK_MONOTONIC, &resolution));
	EXPECT_EQ(0, resolution.tv_sec);
	EXPECT_EQ(1, resolution.tv_nsec);
}

TEST_HARNESS_MAIN
