// SPDX-License-Identifier: GPL-2.0
/* A kernel booted with bpf_sched.enabled=0 calls no policy until policies are enabled. */
#define _GNU_SOURCE
#include <sched.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"
#include "policy.h"

#define TICK	"cfs_check_preempt_tick"

TEST(off_until_enabled)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	struct bpf_link *link;
	struct answer *skel;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	EXPECT_EQ(0, get_knob("enabled"));
	ASSERT_EQ(0, load_start(&hogs[0], &attr));
	ASSERT_EQ(0, load_start(&hogs[1], &attr));
	skel = answer__open_and_load();
	ASSERT_NE(NULL, skel);
	link = attach_root(skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	sleep_ms(500);
	EXPECT_EQ(0, calls_of("answer_tick", TICK));
	ASSERT_EQ(0, set_knob("enabled", 1));
	sleep_ms(500);
	EXPECT_GT(calls_of("answer_tick", TICK), 0);
	bpf_link__destroy(link);
	answer__destroy(skel);
	load_stop(&hogs[0]);
	load_stop(&hogs[1]);
}

TEST_HARNESS_MAIN
