// SPDX-License-Identifier: GPL-2.0
/* Several policies at once, their order, and changes of them under load. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define TICK		"cfs_check_preempt_tick"
#define WAKEUP		"cfs_check_preempt_wakeup"
#define MAX_POLICIES	64

FIXTURE(policies) {
	struct answer *first, *second;
	struct load loads[NR_MIXED_LOADS];
};

FIXTURE_SETUP(policies)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->first = answer__open_and_load();
	ASSERT_NE(NULL, self->first);
	self->second = answer__open_and_load();
	ASSERT_NE(NULL, self->second);
}

FIXTURE_TEARDOWN(policies)
{
	int i;

	for (i = 0; i < NR_MIXED_LOADS; i++)
		load_stop(&self->loads[i]);
	answer__destroy(self->first);
	answer__destroy(self->second);
}

#define start_loads()		ASSERT_EQ(0, mixed_loads_start(self->loads))
#define EXPECT_PROGRESS()	EXPECT_EQ(0, mixed_loads_stuck(self->loads))

TEST_F(policies, first_opinion_wins)
{
	struct bpf_link *tick, *all;
	struct counters c;

	start_loads();
	self->first->bss->tick_answer = -1;
	self->second->bss->tick_answer = 1;
	tick = bpf_map__attach_struct_ops(self->first->maps.only_tick);
	ASSERT_NE(NULL, tick);
	all = bpf_map__attach_struct_ops(self->second->maps.all_hooks);
	ASSERT_NE(NULL, all);
	sleep_ms(500);

	/* The one attached first has an opinion: the other is not asked... */
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.negative, 0);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_EQ(0, c.calls);
	/* ...about that; a hook that only it answers is its own. */
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &c));
	EXPECT_GT(c.calls, 0);

	/* No opinion: the next one is asked. */
	self->first->bss->tick_answer = 0;
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.positive, 0);
	EXPECT_NE(self->first->bss->tick_this, self->second->bss->tick_this);

	/* The order is that of attachment, also after the first one left. */
	bpf_link__destroy(tick);
	tick = bpf_map__attach_struct_ops(self->first->maps.only_tick);
	ASSERT_NE(NULL, tick);
	sleep_ms(200);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_EQ(0, c.calls);
	bpf_link__destroy(all);
	sleep_ms(200);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.calls, 0);
	bpf_link__destroy(tick);
}

/* The same table twice: two policies, each with a "this" of its own. */
TEST_F(policies, attached_twice)
{
	struct bpf_link *links[2];
	struct policy first;
	__u32 this = 0;
	int i;

	start_loads();
	for (i = 0; i < 2; i++) {
		links[i] = bpf_map__attach_struct_ops(self->first->maps.only_tick);
		ASSERT_NE(NULL, links[i]);
	}
	ASSERT_EQ(0, read_policy("answer_tick", &first));
	EXPECT_EQ(2, count_policies("answer_tick", TICK));
	/* Both are asked one after the other: who was asked last is the second, but not always. */
	for (i = 0; i < 1000 && (!this || this == first.id); i++) {
		sleep_ms(1);
		this = self->first->bss->tick_this;
	}
	EXPECT_NE(0, this);
	EXPECT_NE(first.id, this);
	bpf_link__destroy(links[1]);
	EXPECT_EQ(1, count_policies("answer_tick", TICK));
	sleep_ms(300);
	EXPECT_EQ(first.id, self->first->bss->tick_this);
	bpf_link__destroy(links[0]);
	EXPECT_EQ(0, count_policies("answer_tick", TICK));
}

TEST_F(policies, replace_under_load)
{
	struct bpf_link *link;
	struct counters before, after;
	int i;

	start_loads();
	self->first->bss->tick_answer = -1;
	self->first->bss->wakeup_answer = -1;
	self->second->bss->wakeup_answer = 1;
	link = bpf_map__attach_struct_ops(self->first->maps.all_hooks);
	ASSERT_NE(NULL, link);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, bpf_link__update_map(link, self->second->maps.only_wakeup));
		EXPECT_EQ(0, count_policies("answer_all", TICK));
		EXPECT_EQ(1, count_policies("answer_wakeup", WAKEUP));
		ASSERT_EQ(0, bpf_link__update_map(link, self->first->maps.all_hooks));
		EXPECT_EQ(1, count_policies("answer_all", TICK));
		EXPECT_EQ(0, count_policies("answer_wakeup", WAKEUP));
	}

	/* It is the same policy: what it counted is kept. */
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &before));
	EXPECT_GT(before.calls, 0);
	ASSERT_EQ(0, bpf_link__update_map(link, self->second->maps.only_wakeup));
	ASSERT_EQ(0, read_counters("answer_wakeup", WAKEUP, &after));
	EXPECT_GE(after.calls, before.calls);
	EXPECT_PROGRESS();
	bpf_link__destroy(link);
}

TEST_F(policies, detach_under_load)
{
	struct bpf_link *link;
	int i;

	start_loads();
	self->first->bss->tick_answer = -1;
	self->first->bss->wakeup_answer = 1;
	for (i = 0; i < 100; i++) {
		link = bpf_map__attach_struct_ops(self->first->maps.all_hooks);
		ASSERT_NE(NULL, link);
		if (i % 2)
			sched_yield();
		ASSERT_EQ(0, bpf_link__destroy(link));
	}
	EXPECT_EQ(0, count_policies("answer_all", TICK));
	EXPECT_PROGRESS();
}

/* A link can be detached by force: it stays, and says so when it is updated. */
TEST_F(policies, forced_detach)
{
	struct bpf_link *link;

	link = bpf_map__attach_struct_ops(self->first->maps.all_hooks);
	ASSERT_NE(NULL, link);
	ASSERT_EQ(0, bpf_link__detach(link));
	EXPECT_EQ(0, count_policies("answer_all", TICK));
	EXPECT_EQ(-ENOLINK, bpf_link__update_map(link, self->first->maps.only_tick));
	bpf_link__destroy(link);
}

TEST_F(policies, too_many)
{
	uint64_t max_share = get_knob("max_share");
	struct bpf_link *links[MAX_POLICIES];
	int i;

	/* In a debug kernel each of them takes long. */
	ASSERT_EQ(0, set_knob("max_share", 50));
	for (i = 0; i < MAX_POLICIES; i++) {
		links[i] = bpf_map__attach_struct_ops(self->first->maps.all_hooks);
		ASSERT_NE(NULL, links[i]);
	}
	EXPECT_EQ(MAX_POLICIES, count_policies("answer_all", TICK));
	EXPECT_EQ(NULL, bpf_map__attach_struct_ops(self->first->maps.all_hooks));
	EXPECT_EQ(E2BIG, errno);
	for (i = 0; i < MAX_POLICIES; i++)
		bpf_link__destroy(links[i]);
	EXPECT_EQ(0, count_policies("answer_all", TICK));
	ASSERT_EQ(0, set_knob("max_share", max_share));
}

TEST_HARNESS_MAIN
