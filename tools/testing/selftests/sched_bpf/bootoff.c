// SPDX-License-Identifier: GPL-2.0
/*
 * On a kernel booted with bpf_sched=off a policy can be attached, and is not asked
 * until policies are turned on.
 */
#define _GNU_SOURCE
#include <sched.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define TICK	"cfs_check_preempt_tick"

TEST(off_until_enabled)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	struct bpf_link *link;
	struct counters c;
	struct answer *skel;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	EXPECT_EQ(0, get_knob("enabled"));
	ASSERT_EQ(0, load_start(&hogs[0], &attr));
	ASSERT_EQ(0, load_start(&hogs[1], &attr));
	skel = answer__open_and_load();
	ASSERT_NE(NULL, skel);
	link = bpf_map__attach_struct_ops(skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_EQ(0, c.calls);
	ASSERT_EQ(0, set_knob("enabled", 1));
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.calls, 0);
	bpf_link__destroy(link);
	answer__destroy(skel);
	load_stop(&hogs[0]);
	load_stop(&hogs[1]);
}

TEST_HARNESS_MAIN
