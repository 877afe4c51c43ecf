// SPDX-License-Identifier: GPL-2.0
/*
 * Policies in shadow mode: called, counted, and not applied; "differ" counts what would have
 * been. That tasks run as without the policy is tested by cases.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"
#include "policy.h"

#define TICK		"cfs_check_preempt_tick"
#define WAKEUP		"cfs_check_preempt_wakeup"
#define SLICE		"cfs_slice"
#define PHASE_MS	1000
#define MAX_SLICE_NS	(100 * NSEC_PER_MSEC)

FIXTURE(shadow) {
	struct answer *shadow, *other;
	struct load loads[3];
	struct bpf_link *links[2];
	uint64_t max_slice_ns;
};

/* From answer_NAME to shadow_NAME. */
static void rename_policy(struct bpf_map *map)
{
	size_t size;
	void *ops = bpf_map__initial_value(map, &size);
	char *name = memmem(ops, size, "answer", strlen("answer"));

	memcpy(name, "shadow", strlen("shadow"));
}

FIXTURE_SETUP(shadow)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice_ns = get_knob("max_slice_ns");
	ASSERT_EQ(0, set_knob("max_slice_ns", MAX_SLICE_NS));
	self->shadow = answer__open();
	ASSERT_NE(NULL, self->shadow);
	self->shadow->struct_ops.all_hooks->flags = BPF_SCHED_F_SHADOW;
	rename_policy(self->shadow->maps.all_hooks);
	self->shadow->struct_ops.only_wakeup->flags = BPF_SCHED_F_SHADOW;
	rename_policy(self->shadow->maps.only_wakeup);
	self->shadow->struct_ops.only_tick->flags = BPF_SCHED_F_SHADOW;
	rename_policy(self->shadow->maps.only_tick);
	self->shadow->struct_ops.only_slice->flags = BPF_SCHED_F_SHADOW;
	rename_policy(self->shadow->maps.only_slice);
	ASSERT_EQ(0, answer__load(self->shadow));
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
	answer__destroy(self->shadow);
	answer__destroy(self->other);
	set_knob("max_slice_ns", self->max_slice_ns);
}

#define START(n, ...) ({							\
	const struct load_attr attr = { __VA_ARGS__ };				\
										\
	ASSERT_EQ(0, load_start(&self->loads[n], &attr));			\
})

#define ATTACH(n, map) ({							\
	self->links[n] = attach_root(map);			\
	ASSERT_NE(NULL, self->links[n]);					\
})

static uint64_t switches_in_phase(pid_t pid)
{
	uint64_t before = switches(pid);

	sleep_ms(PHASE_MS);
	return switches(pid) - before;
}

static uint64_t rounds_in_phase(const struct load *load)
{
	uint64_t before = load->stats->rounds;

	sleep_ms(PHASE_MS);
	return load->stats->rounds - before;
}

/* Not applied until the policy is updated to one without the flag. */
TEST_F(shadow, tick_extension_not_applied)
{
	struct counters c[2];
	struct policy p[2];
	uint64_t n[4];

	self->shadow->bss->tick_answer = -1;
	self->other->bss->tick_answer = -1;
	START(0, .kind = HOG);
	START(1, .kind = HOG);
	n[0] = switches_in_phase(self->loads[0].pid);
	ATTACH(0, self->shadow->maps.only_tick);
	ASSERT_EQ(0, read_policy("shadow_tick", &p[0]));
	EXPECT_STREQ("shadow", p[0].state);
	n[1] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c[0]));

	ASSERT_EQ(0, bpf_link__update_map(self->links[0], self->other->maps.only_tick));
	ASSERT_EQ(0, read_policy("answer_tick", &p[1]));
	EXPECT_EQ(p[0].link, p[1].link);
	EXPECT_STREQ("enabled", p[1].state);
	n[2] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c[1]));
	EXPECT_GT(c[1].negative, 0);
	EXPECT_EQ(0, c[1].differ);

	ASSERT_EQ(0, bpf_link__update_map(self->links[0], self->shadow->maps.only_tick));
	n[3] = switches_in_phase(self->loads[0].pid);

	TH_LOG("switches: default %lu, shadow %lu, applied %lu, shadow %lu; %lu of %lu differ",
	       n[0], n[1], n[2], n[3], c[0].differ, c[0].negative);
	EXPECT_GT(n[1] * 2, n[0]);
	EXPECT_GT(n[1], 3 * n[2]);
	EXPECT_GT(n[3], 3 * n[2]);
	EXPECT_GT(c[0].differ, 0);
	EXPECT_LE(c[0].differ + c[0].rejected, c[0].negative + CALLS_IN_FLIGHT);
	EXPECT_EQ(0, c[0].rejected_slice);
}

TEST_F(shadow, tick_end_differs)
{
	struct counters c;
	uint64_t n[2];

	self->shadow->bss->tick_answer = 1;
	START(0, .kind = HOG, .slice_ns = 50 * NSEC_PER_MSEC);
	START(1, .kind = HOG, .slice_ns = 50 * NSEC_PER_MSEC);
	n[0] = switches_in_phase(self->loads[0].pid);
	ATTACH(0, self->shadow->maps.only_tick);
	n[1] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c));
	TH_LOG("switches: default %lu, shadow %lu; %lu of %lu differ, %lu rejected", n[0], n[1],
	       c.differ, c.positive, c.rejected);
	EXPECT_LT(n[1], 2 * n[0] + 10);
	EXPECT_GT(c.positive, 100);
	EXPECT_EQ(c.differ + c.rejected, c.positive);
	EXPECT_EQ(c.rejected, c.rejected_short);
}

/* What would be rejected does not differ: a custom slice is not extended. */
TEST_F(shadow, rejected_does_not_differ)
{
	struct counters c;

	self->shadow->bss->tick_answer = -1;
	START(0, .kind = HOG, .slice_ns = 5 * NSEC_PER_MSEC);
	START(1, .kind = HOG, .slice_ns = 5 * NSEC_PER_MSEC);
	ATTACH(0, self->shadow->maps.only_tick);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c));
	EXPECT_GT(c.rejected_custom, 10);
	EXPECT_EQ(c.rejected, c.rejected_custom);
	EXPECT_LT(c.differ, c.rejected_custom / 10 + 5);
}

TEST_F(shadow, next_policy_is_called)
{
	struct counters c;
	uint64_t n[2];

	self->shadow->bss->tick_answer = 1;
	self->other->bss->tick_answer = -1;
	START(0, .kind = HOG);
	START(1, .kind = HOG);
	n[0] = switches_in_phase(self->loads[0].pid);
	ATTACH(0, self->shadow->maps.only_tick);
	ATTACH(1, self->other->maps.only_tick);
	n[1] = switches_in_phase(self->loads[0].pid);
	ASSERT_EQ(0, read_counters("shadow_tick", TICK, &c));
	EXPECT_GT(c.positive, 0);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.negative, 0);
	EXPECT_GT(n[0], 4 * n[1]);
}

TEST_F(shadow, slice_differs_from_base)
{
	uint64_t base = get_knob(BASE_SLICE), stock, n;
	const struct {
		int result;
		bool differs, rejected;
	} cases[] = {
		{ base, false, false },
		{ 10 * base, true, false },
		{ INT32_MAX, true, true },
		{ -1, false, true },
	};
	struct counters before = {};
	struct counters c;
	int i;

	ASSERT_GT(base, 0);
	stock = hog_switches(NULL, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		self->shadow->bss->slice_answer = cases[i].result;
		ATTACH(0, self->shadow->maps.only_slice);
		n = hog_switches(NULL, 0);
		ASSERT_EQ(0, read_counters("shadow_slice", SLICE, &c));
		bpf_link__destroy(self->links[0]);
		self->links[0] = NULL;
		TH_LOG("slices of %d ns: %lu switches, default %lu; %lu of %lu differ",
		       cases[i].result, n, stock, c.differ - before.differ,
		       c.calls - before.calls);
		EXPECT_GT(c.calls, before.calls + 10);
		EXPECT_EQ(cases[i].differs, c.differ > before.differ + CALLS_IN_FLIGHT);
		EXPECT_EQ(cases[i].rejected, c.rejected > before.rejected + CALLS_IN_FLIGHT);
		EXPECT_GT(2 * n, stock);
		EXPECT_LT(n, 2 * stock);
		before = c;
	}
}

TEST_F(shadow, zero_never_differs)
{
	struct counters c;

	START(0, .kind = HOG);
	START(1, .kind = HOG);
	START(2, .kind = SLEEPER);
	ATTACH(0, self->shadow->maps.all_hooks);
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

/* The sleeper with the shorter slice preempts by default. */
TEST_F(shadow, wakeup_not_applied)
{
	uint64_t rounds[2];
	struct counters c;

	START(0, .kind = HOG, .slice_ns = 20 * NSEC_PER_MSEC);
	START(1, .kind = SLEEPER, .slice_ns = 1 * NSEC_PER_MSEC);
	self->shadow->bss->only_tgid = self->loads[1].pid;
	self->shadow->bss->wakeup_answer = -1;
	rounds[0] = rounds_in_phase(&self->loads[1]);
	ATTACH(0, self->shadow->maps.only_wakeup);
	rounds[1] = rounds_in_phase(&self->loads[1]);
	ASSERT_EQ(0, read_counters("shadow_wakeup", WAKEUP, &c));
	TH_LOG("rounds: default %lu, shadow %lu; %lu of %lu differ", rounds[0], rounds[1],
	       c.differ, c.negative);
	EXPECT_GT(c.negative, 10);
	EXPECT_LE(labs((long)(c.differ + c.rejected - c.negative)), CALLS_IN_FLIGHT);
	EXPECT_GT(2 * rounds[1], rounds[0]);
	EXPECT_LT(rounds[1], 2 * rounds[0]);
}

TEST_HARNESS_MAIN
