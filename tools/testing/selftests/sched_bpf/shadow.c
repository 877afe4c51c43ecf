// SPDX-License-Identifier: GPL-2.0
/* Shadow policies: asked, counted, compared with what the kernel does, never obeyed. */
#define _GNU_SOURCE
#include <sched.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define TICK		"cfs_check_preempt_tick"
#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define SLICE		"cfs_slice"
#define PHASE_MS	1000

FIXTURE(shadow) {
	struct answer *skel, *other;
	struct load loads[3];
	struct bpf_link *links[2];
};

FIXTURE_SETUP(shadow)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->other = answer__open_and_load();
	ASSERT_NE(NULL, self->other);
}

FIXTURE_TEARDOWN(shadow)
{
	int i;

	for (i = 0; i < 2; i++)
		bpf_link__destroy(self->links[i]);
	for (i = 0; i < 3; i++)
		load_stop(&self->loads[i]);
	answer__destroy(self->skel);
	answer__destroy(self->other);
}

#define START(n, ...) ({							\
	const struct load_attr attr = { __VA_ARGS__ };				\
										\
	ASSERT_EQ(0, load_start(&self->loads[n], &attr));			\
})

#define ATTACH(n, map) ({							\
	self->links[n] = bpf_map__attach_struct_ops(map);			\
	ASSERT_NE(NULL, self->links[n]);					\
})

static uint64_t switches_in_phase(pid_t pid)
{
	uint64_t before = switches(pid);

	sleep_ms(PHASE_MS);
	return switches(pid) - before;
}

/*
 * Changes nothing until it is replaced by the same policy without the flag, and
 * again when it is replaced back; it is one policy all the time.
 */
TEST_F(shadow, tick)
{
	struct counters c[4];
	struct policy p[2];
	uint64_t n[4];

	self->skel->bss->tick_answer = -1;
	START(0, .kind = HOG);
	START(1, .kind = HOG);
	n[0] = switches_in_phase(self->loads[0].pid);
	ATTACH(0, self->skel->maps.shadow_tick);
	ASSERT_EQ(0, read_policy("shadow_tick", &p[0]));
	EXPECT_EQ(BPF_SCHED_F_SHADOW, p[0].flags);
	n[1] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c[1]));

	ASSERT_EQ(0, bpf_link__update_map(self->links[0], self->skel->maps.only_tick));
	ASSERT_EQ(0, read_policy("answer_tick", &p[1]));
	EXPECT_EQ(p[0].id, p[1].id);
	EXPECT_EQ(0, p[1].flags);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c[2]));
	EXPECT_GE(c[2].negative, c[1].negative);
	n[2] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c[3]));
	EXPECT_GT(c[3].negative, c[2].negative);
	EXPECT_EQ(c[3].differ, c[2].differ);

	ASSERT_EQ(0, bpf_link__update_map(self->links[0], self->skel->maps.shadow_tick));
	n[3] = switches_in_phase(self->loads[0].pid);

	TH_LOG("switches: stock %lu, shadow %lu, obeyed %lu, shadow %lu; %lu of %lu differ",
	       n[0], n[1], n[2], n[3], c[1].differ, c[1].negative);
	EXPECT_GT(n[1] * 2, n[0]);
	EXPECT_GT(n[1], 3 * n[2]);
	EXPECT_GT(n[3], 3 * n[2]);
	/* It differs where a request ends, which is not at each tick. */
	EXPECT_GT(c[1].differ, n[1] / 2);
	EXPECT_LT(c[1].differ, c[1].negative);
	EXPECT_EQ(0, c[1].overruled);
}

/* "End" differs at all ticks at which the request goes on, as most of it. */
TEST_F(shadow, end)
{
	struct counters c;
	uint64_t n[2];

	self->skel->bss->tick_answer = 1;
	START(0, .kind = HOG, .slice_ns = 50 * NSEC_PER_MSEC);
	START(1, .kind = HOG, .slice_ns = 50 * NSEC_PER_MSEC);
	n[0] = switches_in_phase(self->loads[0].pid);
	ATTACH(0, self->skel->maps.shadow_tick);
	n[1] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c));
	TH_LOG("switches: stock %lu, shadow %lu; %lu of %lu differ, %lu overruled", n[0], n[1],
	       c.differ, c.positive, c.overruled);
	EXPECT_LT(n[1], 2 * n[0] + 10);
	EXPECT_GT(c.positive, 100);
	/* Not where the protection has ended before, as by a task with a shorter slice. */
	EXPECT_GT(c.differ, c.positive / 4);
	EXPECT_LE(c.differ + c.overruled, c.positive);
	EXPECT_EQ(c.overruled, c.overruled_short);
}

/* A task that has a slice of its own: "keep" would not be obeyed, and is no difference. */
TEST_F(shadow, overruled)
{
	struct counters c;

	self->skel->bss->tick_answer = -1;
	START(0, .kind = HOG, .slice_ns = 5 * NSEC_PER_MSEC);
	START(1, .kind = HOG, .slice_ns = 5 * NSEC_PER_MSEC);
	ATTACH(0, self->skel->maps.shadow_tick);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c));
	EXPECT_GT(c.overruled_custom, 10);
	EXPECT_EQ(c.overruled, c.overruled_custom);
	EXPECT_LT(c.differ, c.overruled_custom / 10 + 5);
}

/* An opinion that is not obeyed does not keep the next policy from being asked. */
TEST_F(shadow, next_is_asked)
{
	struct counters c;
	uint64_t n[2];

	self->skel->bss->tick_answer = 1;
	self->other->bss->tick_answer = -1;
	START(0, .kind = HOG);
	START(1, .kind = HOG);
	n[0] = switches_in_phase(self->loads[0].pid);
	ATTACH(0, self->skel->maps.shadow_tick);
	ATTACH(1, self->other->maps.only_tick);
	n[1] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c));
	EXPECT_GT(c.positive, 0);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.negative, 0);
	EXPECT_GT(n[0], 4 * n[1]);
}

/* The size of requests: differs unless it is the usual one, changes nothing. */
TEST_F(shadow, slice)
{
	uint64_t base = get_knob(BASE_SLICE), stock, n;
	const struct {
		int answer;
		bool differs, overruled;
	} cases[] = {
		{ base, false, false },
		{ 10 * base, true, false },
		{ INT32_MAX, true, true },
		{ -1, false, true },
	};
	struct counters c;
	int i;

	ASSERT_GT(base, 0);
	stock = hog_switches(NULL, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		self->skel->bss->slice_answer = cases[i].answer;
		ATTACH(0, self->skel->maps.shadow_slice);
		n = hog_switches(NULL, 0);
		ASSERT_EQ(0, read_counters("shadow_slice", SLICE, &c));
		TH_LOG("slices of %d ns: %lu switches, stock %lu; %lu of %lu differ",
		       cases[i].answer, n, stock, c.differ, c.calls);
		EXPECT_GT(c.calls, 10);
		EXPECT_EQ(cases[i].differs ? c.calls : 0, c.differ);
		EXPECT_EQ(cases[i].overruled ? c.calls : 0, c.overruled);
		EXPECT_GT(2 * n, stock);
		EXPECT_LT(n, 2 * stock);
		bpf_link__destroy(self->links[0]);
		self->links[0] = NULL;
	}
}

/* No opinion never differs. */
TEST_F(shadow, no_opinion)
{
	struct counters c;

	START(0, .kind = HOG);
	START(1, .kind = HOG);
	START(2, .kind = SLEEPER);
	ATTACH(0, self->skel->maps.shadow_all);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("shadow_all", SLICE, &c));
	EXPECT_GT(c.zero, 0);
	EXPECT_EQ(0, c.differ);
	ASSERT_EQ(0, read_counters("shadow_all", TICK, &c));
	EXPECT_GT(c.zero, 0);
	EXPECT_EQ(0, c.differ);
	ASSERT_EQ(0, read_counters("shadow_all", WAKEUP, &c));
	EXPECT_GT(c.zero, 0);
	EXPECT_EQ(0, c.differ);
}

/*
 * A sleeper whose slice is shorter than that of the hog beside it preempts. So of
 * the answers "preempt" and "do not" the second one differs.
 */
TEST_F(shadow, wakeup)
{
	struct counters c;
	uint64_t answers;
	int answer;

	START(0, .kind = HOG, .slice_ns = 20 * NSEC_PER_MSEC);
	START(1, .kind = SLEEPER, .slice_ns = 1 * NSEC_PER_MSEC);
	self->skel->bss->only_tgid = self->loads[1].pid;
	for (answer = 1; answer >= -1; answer -= 2) {
		self->skel->bss->wakeup_answer = answer;
		ATTACH(0, self->skel->maps.shadow_wakeup);
		sleep_ms(PHASE_MS);
		ASSERT_EQ(0, read_counters("shadow_wakeup", WAKEUP, &c));
		/* What a bound would have overruled is not counted as different. */
		answers = c.negative + c.positive - c.overruled;
		TH_LOG("answer %d: %lu of %lu differ, %lu overruled", answer, c.differ, answers,
		       c.overruled);
		EXPECT_GT(answers, 10);
		EXPECT_LE(c.differ, answers);
		EXPECT_EQ(answer < 0, c.differ * 2 > answers);
		bpf_link__destroy(self->links[0]);
		self->links[0] = NULL;
	}
}

/*
 * The same where the entities are compared; and what it is compared with is not
 * what another policy decides.
 */
TEST_F(shadow, wakeup_decided_by_other)
{
	struct counters c, real;
	uint64_t answers;

	self->skel->bss->wakeup_answer = 0;
	self->skel->bss->entity_answer = 1;
	self->other->bss->wakeup_answer = -1;
	START(0, .kind = HOG, .slice_ns = 20 * NSEC_PER_MSEC);
	START(1, .kind = SLEEPER, .slice_ns = 1 * NSEC_PER_MSEC);
	self->skel->bss->only_tgid = self->loads[1].pid;
	ATTACH(0, self->skel->maps.shadow_all);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("shadow_all", ENTITY, &c));
	EXPECT_GT(c.positive, 10);
	EXPECT_LT(c.differ * 2, c.positive);
	bpf_link__destroy(self->links[0]);
	self->links[0] = NULL;

	self->skel->bss->wakeup_answer = 1;
	ATTACH(0, self->skel->maps.shadow_wakeup);
	ATTACH(1, self->other->maps.only_wakeup);
	sleep_ms(2 * PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_wakeup", WAKEUP, &real));
	ASSERT_EQ(0, read_counters("shadow_wakeup", WAKEUP, &c));
	answers = c.positive - c.overruled;
	TH_LOG("answers in the shadow: %lu, of which %lu differ and %lu are overruled",
	       c.positive, c.differ, c.overruled);
	EXPECT_GT(real.negative, 10);
	EXPECT_GT(answers, 10);
	EXPECT_LT(c.differ * 2, answers);
}

TEST_HARNESS_MAIN
