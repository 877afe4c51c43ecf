// SPDX-License-Identifier: GPL-2.0
/*
 * Answers at random, extreme ones included, to a bounded number of questions: a
 * million, or what SCHED_BPF_QUESTIONS says. What must hold is what tasks are due,
 * the sums of the counters, and that every task goes on.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "fuzz.skel.h"
#include "lib.h"
#include "oracle.h"

#define NR_LOADS	9
#define NR_HOGS		3	/* of these the first */
/* Threads of all loads that can want the CPU, those of SCHED_IDLE aside. */
#define NR_THREADS	11

/* The order of hook_names. */
enum { WAKEUP, ENTITY, TICK, SLICE, SELECT, MIGRATE };

FIXTURE(fuzz) {
	struct fuzz *skel;
	struct bpf_link *links[2];
	struct load loads[NR_LOADS];
	struct usual usual[NR_HOGS];
	struct trace stock[2], trace;
	long worst;
	char path[192];
};

FIXTURE_SETUP(fuzz)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, cgroup_make(NULL, "fuzz", self->path, sizeof(self->path)));
	self->skel = fuzz__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(fuzz)
{
	int i;

	for (i = 0; i < 2; i++)
		bpf_link__destroy(self->links[i]);
	for (i = 0; i < NR_LOADS; i++)
		load_stop(&self->loads[i]);
	fuzz__destroy(self->skel);
	cgroup_remove(self->path);
}

static uint64_t questions(void)
{
	struct counters c;
	uint64_t sum = 0;
	int i;

	for (i = 0; i < NR_HOOKS; i++)
		sum += read_counters("fuzz", hook_names[i], &c) ? 0 : c.calls;
	return sum;
}

/* Of a policy that is not asked any more. */
static void expect_consistent(struct __test_metadata *_metadata, const char *policy)
{
	struct counters c;
	int i;

	for (i = 0; i < NR_HOOKS; i++) {
		ASSERT_EQ(0, read_counters(policy, hook_names[i], &c));
		TH_LOG("%s %s: %lu < 0, %lu = 0, %lu > 0, overruled %lu, %lu, %lu, %lu, %lu differ",
		       policy, hook_names[i], c.negative, c.zero, c.positive, c.overruled_slice,
		       c.overruled_eligible, c.overruled_short, c.overruled_custom, c.differ);
		/* The loads are bound to a CPU: others may be placed meanwhile, or not. */
		if (i <= SLICE)
			EXPECT_GT(c.calls, 0);
		EXPECT_EQ(c.calls, c.negative + c.zero + c.positive);
		EXPECT_EQ(c.overruled, c.overruled_slice + c.overruled_eligible +
			  c.overruled_short + c.overruled_custom + c.overruled_cpu +
			  c.overruled_balance);
		EXPECT_EQ(0, c.overruled_delegated);
		EXPECT_EQ(0, c.overruled_custom);
		switch (i) {
		case WAKEUP:
		case ENTITY:
			EXPECT_EQ(c.overruled, c.overruled_eligible);
			EXPECT_LE(c.overruled_eligible, c.positive);
			break;
		case TICK:
			EXPECT_EQ(c.overruled, c.overruled_slice + c.overruled_short);
			EXPECT_LE(c.overruled_slice, c.negative);
			EXPECT_LE(c.overruled_short, c.positive);
			break;
		case SLICE:
			/* None below zero is obeyed. */
			EXPECT_EQ(c.overruled, c.overruled_slice);
			EXPECT_GE(c.overruled_slice, c.negative);
			EXPECT_LE(c.differ, c.positive);
			break;
		case SELECT:
			/* None below zero is the number of a CPU. */
			EXPECT_EQ(c.overruled, c.overruled_cpu);
			EXPECT_GE(c.overruled_cpu, c.negative);
			break;
		case MIGRATE:
			EXPECT_EQ(c.overruled, c.overruled_balance);
			EXPECT_LE(c.overruled_balance, c.negative);
			break;
		}
		/* A size that is clamped may differ too. */
		if (i != SLICE)
			EXPECT_LE(c.differ + c.overruled, c.negative + c.positive);
		EXPECT_LE(c.overruled, c.negative + c.positive);
	}
}

/*
 * The other loads sleep, and take more or less the sooner or later they are served:
 * but a task that always runs has what it has if all want the CPU, if not more.
 */
static void expect_service(struct __test_metadata *_metadata, FIXTURE_DATA(fuzz) *self)
{
	long allowed, less;
	double share;
	int i;

	for (i = 0; i < NR_HOGS; i++) {
		share = self->usual[i].share;
		share = share > 1. / NR_THREADS ? 1. / NR_THREADS : share;
		less = trace_deviation(&self->trace, i, share).less;
		allowed = request_us() + tick_us() + margin_us(&self->usual[i]);
		EXPECT_LE(less, allowed) {
			TH_LOG("hog %d: usually %.1f %%, now %.1f %%", i,
			       100 * self->usual[i].share, 100 * trace_share(&self->trace, i));
		}
		if (less > self->worst)
			self->worst = less;
	}
}

TEST_F_TIMEOUT(fuzz, random_answers, 1200)
{
	const char *env = getenv("SCHED_BPF_QUESTIONS");
	uint64_t wanted = env ? strtoull(env, NULL, 10) : 1000000, rounds[NR_LOADS];
	const struct load_attr attrs[NR_LOADS] = {
		{ .kind = HOG }, { .kind = HOG }, { .kind = HOG, .policy = SCHED_BATCH },
		{ .kind = HOG, .policy = SCHED_IDLE },
		{ .kind = SLEEPER, .work_ns = 100000 }, { .kind = YIELDER },
		{ .kind = PIPE_PONG }, { .kind = PIPE_PONG },
		{ .kind = PIPE_PONG, .cgroup = self->path },
	};
	int i;

	for (i = 0; i < NR_LOADS; i++)
		ASSERT_EQ(0, load_start(&self->loads[i], &attrs[i]));
	sleep_ms(200);
	for (i = 0; i < 2; i++)
		trace_record(&self->stock[i], self->loads, NR_HOGS, 1000, NULL, NULL);
	for (i = 0; i < NR_HOGS; i++)
		self->usual[i] = trace_usual(&self->stock[0], &self->stock[1], i);

	self->links[0] = bpf_map__attach_struct_ops(self->skel->maps.fuzz_shadow);
	ASSERT_NE(NULL, self->links[0]);
	self->links[1] = bpf_map__attach_struct_ops(self->skel->maps.fuzz);
	ASSERT_NE(NULL, self->links[1]);
	for (i = 0; i < NR_LOADS; i++)
		rounds[i] = self->loads[i].stats->rounds;
	do {
		trace_record(&self->trace, self->loads, NR_HOGS, 4000, NULL, NULL);
		expect_service(_metadata, self);
	} while (questions() < wanted);
	TH_LOG("at worst %ld ms less than due", self->worst / 1000);
	for (i = 0; i < NR_LOADS; i++)
		EXPECT_GT(self->loads[i].stats->rounds, rounds[i]);

	/* So that nothing is counted while it is read. */
	ASSERT_EQ(0, set_knob("enabled", 0));
	expect_consistent(_metadata, "fuzz");
	expect_consistent(_metadata, "fuzz_shadow");
	ASSERT_EQ(0, set_knob("enabled", 1));
}

TEST_HARNESS_MAIN
