// SPDX-License-Identifier: GPL-2.0
/*
 * No answer, however hostile, keeps a task from running: each bound, and that it
 * is counted where it overrules.
 */
#define _GNU_SOURCE
#include <sched.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define PHASE_MS	2000
#define WAKEUP		"cfs_check_preempt_wakeup"
#define TICK		"cfs_check_preempt_tick"

FIXTURE(bounds) {
	struct answer *skel;
	struct bpf_link *link;
	uint64_t max_hold;
};

FIXTURE_SETUP(bounds)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_hold = get_knob("max_hold_ns");
	ASSERT_NE(0, self->max_hold);
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(bounds)
{
	bpf_link__destroy(self->link);
	answer__destroy(self->skel);
	if (self->max_hold)
		set_knob("max_hold_ns", self->max_hold);
}

/* Give these answers to every question about @tgid, 0: about any task. */
#define attach(wakeup, entity, tick, tgid) ({					\
	self->skel->bss->wakeup_answer = wakeup;				\
	self->skel->bss->entity_answer = entity;				\
	self->skel->bss->tick_answer = tick;					\
	self->skel->bss->only_tgid = tgid;					\
	self->link = bpf_map__attach_struct_ops(self->skel->maps.all_hooks);	\
	ASSERT_NE(NULL, self->link);						\
})

static uint64_t percent(uint64_t a, uint64_t b)
{
	return a + b ? a * 100 / (a + b) : 0;
}

/* Everybody is to keep running: each still waits no longer than the bound. */
TEST_F(bounds, keep_running_ends)
{
	const uint64_t hold = 50 * NSEC_PER_MSEC;
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	uint64_t time[2], share;
	struct counters c;
	int i;

	ASSERT_EQ(0, set_knob("max_hold_ns", hold));
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
	       hold / 1000, share, 100 - share);
	for (i = 0; i < 2; i++) {
		/* It was held off, and not for longer than the bound and noise. */
		EXPECT_GT(hogs[i].stats->max_gap_ns, hold / 2);
		EXPECT_LT(hogs[i].stats->max_gap_ns, 3 * hold);
	}
	EXPECT_GT(share, 30);
	EXPECT_LT(share, 70);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.overruled, 0);
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

/* No wakee is to preempt: it still gets its turn within the bound. */
TEST_F(bounds, do_not_preempt_ends)
{
	const uint64_t hold = 50 * NSEC_PER_MSEC;
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = SLEEPER };
	struct load hog = {}, sleeper = {};
	struct counters c;

	ASSERT_EQ(0, set_knob("max_hold_ns", hold));
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	attach(-1, -1, -1, 0);
	sleep_ms(200);
	sleeper.stats->max_gap_ns = 0;
	sleeper.stats->rounds = 0;
	sleep_ms(PHASE_MS);
	TH_LOG("longest wait %lu us at a bound of %lu us, %lu rounds",
	       sleeper.stats->max_gap_ns / 1000, hold / 1000, sleeper.stats->rounds);
	EXPECT_GT(sleeper.stats->max_gap_ns, hold / 2);
	EXPECT_LT(sleeper.stats->max_gap_ns, 3 * hold);
	EXPECT_GT(sleeper.stats->rounds, PHASE_MS / 50 / 3);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.overruled, 0);
	load_stop(&sleeper);
	load_stop(&hog);
}

/* The bound is what it is set to, and bad values change nothing. */
TEST_F(bounds, max_hold_is_settable)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	uint64_t few, many;
	int i;

	EXPECT_EQ(0, set_knob("max_hold_ns", NSEC_PER_MSEC));
	EXPECT_EQ(NSEC_PER_MSEC, get_knob("max_hold_ns"));
	EXPECT_EQ(0, set_knob("max_hold_ns", NSEC_PER_SEC));
	EXPECT_EQ(NSEC_PER_SEC, get_knob("max_hold_ns"));
	EXPECT_EQ(-ERANGE, set_knob("max_hold_ns", 0));
	EXPECT_EQ(-ERANGE, set_knob("max_hold_ns", NSEC_PER_MSEC - 1));
	EXPECT_EQ(-ERANGE, set_knob("max_hold_ns", NSEC_PER_SEC + 1));
	EXPECT_EQ(-ERANGE, set_knob("max_hold_ns", ~0ULL));
	EXPECT_EQ(-EINVAL, write_file(BPF_SCHED_DEBUGFS "max_hold_ns", "soon"));
	EXPECT_EQ(NSEC_PER_SEC, get_knob("max_hold_ns"));

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attr));
	attach(-1, -1, -1, 0);
	ASSERT_EQ(0, set_knob("max_hold_ns", 100 * NSEC_PER_MSEC));
	few = switches(hogs[0].pid);
	sleep_ms(PHASE_MS);
	few = switches(hogs[0].pid) - few;
	ASSERT_EQ(0, set_knob("max_hold_ns", 5 * NSEC_PER_MSEC));
	many = switches(hogs[0].pid);
	sleep_ms(PHASE_MS);
	many = switches(hogs[0].pid) - many;
	TH_LOG("switches at 100 ms: %lu, at 5 ms: %lu", few, many);
	EXPECT_GT(many, 4 * few);
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

/*
 * Every wakee is to preempt, two threads do nothing but wake each other, and
 * every turn is to end: the hog beside them keeps its part of the CPU.
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
	EXPECT_GT(c.overruled, 0);
	load_stop(&pong);
	load_stop(&hog);
}

/* A SCHED_IDLE task is not held against one of a normal policy. */
TEST_F(bounds, idle_gives_way)
{
	const struct load_attr idle_attr = { .kind = HOG, .policy = SCHED_IDLE };
	const struct load_attr attr = { .kind = HOG };
	struct load idle = {}, normal = {};
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
	TH_LOG("rounds: stock %lu, with the hog held %lu", stock, rt.stats->rounds);
	/* Waiting for the end of each hold it would have 20 rounds. */
	EXPECT_GT(rt.stats->rounds, stock / 2);
	load_stop(&rt);
	load_stop(&hog);
}

/* A task that yields is not held against its own will. */
TEST_F(bounds, yield_is_honoured)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = YIELDER };
	struct load hog = {}, yielder = {};
	uint64_t stock, held;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&yielder, &attr));
	stock = switches(yielder.pid);
	sleep_ms(PHASE_MS);
	stock = switches(yielder.pid) - stock;
	attach(-1, -1, -1, yielder.pid);
	held = switches(yielder.pid);
	sleep_ms(PHASE_MS);
	held = switches(yielder.pid) - held;
	TH_LOG("switches: stock %lu, held %lu", stock, held);
	EXPECT_GT(held, stock / 4);
	load_stop(&yielder);
	load_stop(&hog);
}

/* A wakeup's "preempt" ends a hold that the tick's "keep running" started. */
TEST_F(bounds, preempt_ends_a_hold)
{
	const struct load_attr hog_attr = { .kind = HOG };
	const struct load_attr attr = { .kind = SLEEPER, .work_ns = 50 * 1000 };
	struct load hog = {}, sleeper = {};
	struct counters c;

	/* Held all the same when the wakee is not eligible: make that short. */
	ASSERT_EQ(0, set_knob("max_hold_ns", 5 * NSEC_PER_MSEC));
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	attach(1, 1, -1, 0);
	sleep_ms(200);
	sleeper.stats->rounds = 0;
	sleeper.stats->prompt = 0;
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &c));
	TH_LOG("%lu rounds, %lu of them prompt; %lu wakeups, %lu overruled",
	       sleeper.stats->rounds, sleeper.stats->prompt, c.calls, c.overruled);
	EXPECT_GT(sleeper.stats->rounds, PHASE_MS / 10);
	EXPECT_GT(sleeper.stats->prompt, sleeper.stats->rounds / 2);
	load_stop(&sleeper);
	load_stop(&hog);
}

TEST_HARNESS_MAIN
