// SPDX-License-Identifier: GPL-2.0
/*
 * Answers at random, extreme ones included, to a bounded number of questions: a
 * million, or what SCHED_BPF_QUESTIONS says. What must hold is the bound, the
 * sums of the counters, and that every task goes on.
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

#define NR_LOADS	9
#define MAX_HOLD_NS	(20 * NSEC_PER_MSEC)
/* What a turn may last beyond: a slice, two ticks, and what emulation adds. */
#define SLACK_NS	(200 * NSEC_PER_MSEC)

static const char * const hooks[] = {
	"cfs_check_preempt_wakeup", "cfs_wakeup_preempt_entity", "cfs_check_preempt_tick",
};

FIXTURE(fuzz) {
	struct fuzz *skel;
	struct bpf_link *links[3];
	struct load loads[NR_LOADS];
	uint64_t max_hold_ns;
	char path[192];
};

FIXTURE_SETUP(fuzz)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_hold_ns = get_knob("max_hold_ns");
	ASSERT_EQ(0, cgroup_make(NULL, "fuzz", self->path, sizeof(self->path)));
	self->skel = fuzz__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(fuzz)
{
	int i;

	for (i = 0; i < 3; i++)
		bpf_link__destroy(self->links[i]);
	for (i = 0; i < NR_LOADS; i++)
		load_stop(&self->loads[i]);
	fuzz__destroy(self->skel);
	set_knob("max_hold_ns", self->max_hold_ns);
	cgroup_remove(self->path);
}

static uint64_t questions(void)
{
	struct counters c;
	uint64_t sum = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		sum += read_counters("fuzz", hooks[i], &c) ? 0 : c.calls;
	return sum;
}

/* Of a policy that is not asked any more. */
static void expect_consistent(struct __test_metadata *_metadata, const char *policy)
{
	struct counters c;
	int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		ASSERT_EQ(0, read_counters(policy, hooks[i], &c));
		TH_LOG("%s %s: %lu < 0, %lu = 0, %lu > 0, overruled %lu + %lu + %lu, %lu differ",
		       policy, hooks[i], c.negative, c.zero, c.positive, c.overruled_hold,
		       c.overruled_eligible, c.overruled_turn, c.differ);
		EXPECT_GT(c.calls, 0);
		EXPECT_EQ(c.calls, c.negative + c.zero + c.positive);
		EXPECT_EQ(c.overruled, c.overruled_hold + c.overruled_eligible + c.overruled_turn);
		EXPECT_LE(c.overruled_hold, c.negative);
		EXPECT_LE(c.overruled_eligible + c.overruled_turn, c.positive);
		EXPECT_LE(c.differ + c.overruled, c.negative + c.positive);
	}
}

TEST_F_TIMEOUT(fuzz, random_answers, 1200)
{
	const char *env = getenv("SCHED_BPF_QUESTIONS");
	uint64_t wanted = env ? strtoull(env, NULL, 10) : 1000000, rounds[NR_LOADS];
	const struct load_attr attrs[NR_LOADS] = {
		{ .kind = HOG }, { .kind = HOG },
		{ .kind = HOG, .policy = SCHED_BATCH }, { .kind = HOG, .policy = SCHED_IDLE },
		{ .kind = SLEEPER, .work_ns = 100000 }, { .kind = YIELDER },
		{ .kind = PIPE_PONG }, { .kind = PIPE_PONG },
		{ .kind = PIPE_PONG, .cgroup = self->path },
	};
	int i;

	self->skel->bss->cpu = LOAD_CPU;
	self->skel->bss->limit_ns = MAX_HOLD_NS + SLACK_NS;
	ASSERT_EQ(0, set_knob("max_hold_ns", MAX_HOLD_NS));
	for (i = 0; i < NR_LOADS; i++)
		ASSERT_EQ(0, load_start(&self->loads[i], &attrs[i]));
	self->links[0] = bpf_program__attach(self->skel->progs.measure);
	ASSERT_NE(NULL, self->links[0]);
	self->links[1] = bpf_map__attach_struct_ops(self->skel->maps.fuzz_shadow);
	ASSERT_NE(NULL, self->links[1]);
	self->links[2] = bpf_map__attach_struct_ops(self->skel->maps.fuzz);
	ASSERT_NE(NULL, self->links[2]);

	for (i = 0; i < NR_LOADS; i++)
		rounds[i] = self->loads[i].stats->rounds;
	while (questions() < wanted)
		sleep_ms(500);
	for (i = 0; i < NR_LOADS; i++)
		EXPECT_GT(self->loads[i].stats->rounds, rounds[i]);

	/* So that nothing is counted while it is read. */
	ASSERT_EQ(0, set_knob("enabled", 0));
	expect_consistent(_metadata, "fuzz");
	expect_consistent(_metadata, "fuzz_shadow");
	ASSERT_EQ(0, set_knob("enabled", 1));

	TH_LOG("%lu of %lu turns held for longer than %lu ms, the longest for %lu us",
	       self->skel->bss->violations, self->skel->bss->held_turns,
	       self->skel->bss->limit_ns / NSEC_PER_MSEC, self->skel->bss->max_held_ns / 1000);
	EXPECT_GT(self->skel->bss->held_turns, 100);
	EXPECT_EQ(0, self->skel->bss->violations);
}

TEST_HARNESS_MAIN
