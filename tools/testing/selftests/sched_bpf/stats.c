// SPDX-License-Identifier: GPL-2.0
/* What is seen of a policy: its counters in the fdinfo of its links, and the tracepoint. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"
#include "policy.h"

#define TICK		"cfs_check_preempt_tick"
#define WAKEUP		"cfs_check_preempt_wakeup"
#define SLICE		"cfs_slice"
#define PHASE_MS	500
#define TRACEFS		"/sys/kernel/tracing/"

FIXTURE(stats) {
	struct answer *skel;
	struct load loads[3];
	struct bpf_link *links[2];
};

FIXTURE_SETUP(stats)
{
	struct load_attr attr = { .kind = HOG };

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	attr.kind = SLEEPER;
	ASSERT_EQ(0, load_start(&self->loads[2], &attr));
}

FIXTURE_TEARDOWN(stats)
{
	int i;

	for (i = 0; i < 2; i++)
		bpf_link__destroy(self->links[i]);
	for (i = 0; i < 3; i++)
		load_stop(&self->loads[i]);
	answer__destroy(self->skel);
	set_knob("enabled", 1);
}

#define ATTACH(n, map) ({							\
	self->links[n] = attach_root(self->skel->maps.map);			\
	ASSERT_NE(NULL, self->links[n]);					\
})

TEST_F(stats, counted_by_sign)
{
	struct counters c, before = {};
	int ret;

	ATTACH(0, only_tick);
	for (ret = -1; ret <= 1; ret++) {
		self->skel->bss->tick_answer = ret;
		sleep_ms(PHASE_MS);
		ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
		EXPECT_GT(c.calls, before.calls + 10);
		EXPECT_EQ(ret < 0, c.negative > before.negative + CALLS_IN_FLIGHT);
		EXPECT_EQ(ret == 0, c.zero > before.zero + CALLS_IN_FLIGHT);
		EXPECT_EQ(ret > 0, c.positive > before.positive + CALLS_IN_FLIGHT);
		/* The sum over CPUs is not of one moment. */
		EXPECT_LE(c.negative + c.positive, c.calls + CALLS_IN_FLIGHT);
		EXPECT_EQ(0, c.differ);
		before = c;
	}
}

static int read_fdinfo(const struct bpf_link *link, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(link));
	return read_file(path, buf, size);
}

/* A line for each hook that the ops implement, with the reasons that this hook has. */
TEST_F(stats, fdinfo_has_own_hooks)
{
	char buf[4096], want[192];
	struct counters c;

	self->skel->bss->tick_answer = 1;
	ATTACH(0, only_tick);
	sleep_ms(PHASE_MS);
	/* Nothing is counted between the two reads. */
	ASSERT_EQ(0, set_knob("enabled", 0));
	sleep_ms(20);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.positive, 10);
	ASSERT_EQ(0, read_fdinfo(self->links[0], buf, sizeof(buf)));
	ASSERT_EQ(0, set_knob("enabled", 1));

	snprintf(want, sizeof(want), "map_id:\t%u\ncgroup_id:\t%lu\npolicy:\tanswer_tick\n"
		 "state:\tenabled\n", map_id(self->skel->maps.only_tick),
		 cgroup_id(CGROUP_ROOT));
	EXPECT_NE(NULL, strstr(buf, want)) {
		TH_LOG("no %s in %s", want, buf);
	}
	snprintf(want, sizeof(want), "\n" TICK ":\tcalls %lu negative %lu positive %lu ",
		 c.calls, c.negative, c.positive);
	EXPECT_NE(NULL, strstr(buf, want)) {
		TH_LOG("no %s in %s", want + 1, buf);
	}
	EXPECT_NE(NULL, strstr(buf, "rejected_short"));
	EXPECT_EQ(NULL, strstr(buf, "rejected_cpu"));
	EXPECT_EQ(NULL, strstr(buf, "rejected_eligible"));
	EXPECT_EQ(NULL, strstr(buf, WAKEUP));

	ASSERT_EQ(0, bpf_link__detach(self->links[0]));
	ASSERT_EQ(0, read_fdinfo(self->links[0], buf, sizeof(buf)));
	EXPECT_EQ(NULL, strstr(buf, "policy:"));
}

/* Counters belong to the map: two links share them, and an update shows those of the new map. */
TEST_F(stats, counters_belong_to_map)
{
	char bufs[2][4096];
	struct counters c;

	ATTACH(0, only_tick);
	ATTACH(1, only_tick);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, set_knob("enabled", 0));
	sleep_ms(20);
	ASSERT_EQ(0, read_fdinfo(self->links[0], bufs[0], sizeof(bufs[0])));
	ASSERT_EQ(0, read_fdinfo(self->links[1], bufs[1], sizeof(bufs[1])));
	ASSERT_NE(NULL, strstr(bufs[0], TICK));
	EXPECT_STREQ(strstr(bufs[0], TICK), strstr(bufs[1], TICK));

	ASSERT_EQ(0, bpf_link__update_map(self->links[0], self->skel->maps.only_slice));
	ASSERT_EQ(0, read_counters("answer_slice", SLICE, &c));
	EXPECT_EQ(0, c.calls);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.calls, 0);
	ASSERT_EQ(0, set_knob("enabled", 1));
	sleep_ms(PHASE_MS);
	EXPECT_GT(calls_of("answer_slice", SLICE), 0);
	EXPECT_GT(calls_of("answer_tick", TICK), c.calls);
}

/* Has the trace a line of this event with all of these words? */
static bool traced(const char *event, const char * const *words)
{
	static char buf[1 << 20];
	char *line, *save;
	int i;

	if (read_file(TRACEFS "trace", buf, sizeof(buf)))
		return false;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		for (i = 0; words[i] && strstr(line, words[i]); i++)
			;
		if (!words[i] && strstr(line, event))
			return true;
	}
	return false;
}

TEST_F(stats, rejected_is_traced)
{
	static const char * const words[] = {
		"name=answer_tick", "hook=" TICK, "ret=-1", "reason=slice", NULL
	};
	uint64_t max_slice = get_knob("max_slice_ns");

	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	ASSERT_EQ(0, write_file(TRACEFS "trace", ""));
	ASSERT_EQ(0, write_file(TRACEFS "buffer_size_kb", "256"));
	ASSERT_EQ(0, write_file(TRACEFS "events/bpf_sched/bpf_sched_rejected/enable", "1"));
	ASSERT_EQ(0, set_knob("max_slice_ns", NSEC_PER_MSEC));
	self->skel->bss->tick_answer = -1;
	ATTACH(0, only_tick);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, write_file(TRACEFS "events/bpf_sched/bpf_sched_rejected/enable", "0"));
	EXPECT_EQ(0, set_knob("max_slice_ns", max_slice));
	EXPECT_TRUE(traced("bpf_sched_rejected:", words));
}

TEST_HARNESS_MAIN
