// SPDX-License-Identifier: GPL-2.0
/* Shadow policies: asked, counted, compared with what happens, never obeyed. */
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
#define PHASE_MS	1000

FIXTURE(shadow) {
	struct answer *skel, *other;
	struct load loads[2];
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

	for (i = 0; i < 2; i++) {
		bpf_link__destroy(self->links[i]);
		load_stop(&self->loads[i]);
	}
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
	/* It differs where a turn ends, which is not at each tick. */
	EXPECT_GT(c[1].differ, n[1] / 2);
	EXPECT_LT(c[1].differ, c[1].negative);
	EXPECT_EQ(0, c[1].overruled);
}

/* An opinion that is not obeyed does not keep the next policy from being asked. */
TEST_F(shadow, next_is_asked)
{
	struct counters c;
	uint64_t n;

	self->skel->bss->tick_answer = 1;
	self->other->bss->tick_answer = -1;
	START(0, .kind = HOG, .slice_ns = 50 * NSEC_PER_MSEC);
	START(1, .kind = HOG, .slice_ns = 50 * NSEC_PER_MSEC);
	ATTACH(0, self->skel->maps.shadow_tick);
	ATTACH(1, self->other->maps.only_tick);
	n = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.negative, 0);
	EXPECT_LT(n, 40);
	/* What it is compared with is what the other one had done. */
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c));
	EXPECT_GT(c.positive, 0);
	EXPECT_GT(c.differ * 2, c.positive);
}

/* No opinion never differs. */
TEST_F(shadow, no_opinion)
{
	struct counters c;

	START(0, .kind = HOG);
	START(1, .kind = SLEEPER);
	ATTACH(0, self->skel->maps.shadow_all);
	sleep_ms(PHASE_MS);
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

/* The same where the entities are compared, and with a policy that decides. */
TEST_F(shadow, wakeup_decided_by_other)
{
	struct counters c, after, real;

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

	self->skel->bss->wakeup_answer = 1;
	ATTACH(1, self->other->maps.only_wakeup);
	ASSERT_EQ(0, read_counters("shadow_all", WAKEUP, &c));
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_wakeup", WAKEUP, &real));
	ASSERT_EQ(0, read_counters("shadow_all", WAKEUP, &after));
	TH_LOG("answers in the shadow: %lu, of which %lu differ and %lu are overruled",
	       after.positive - c.positive, after.differ - c.differ,
	       after.overruled - c.overruled);
	EXPECT_GT(real.negative, 0);
	EXPECT_GT(after.differ, c.differ);
}

TEST_HARNESS_MAIN
