// SPDX-License-Identifier: GPL-2.0
/* What protects a machine from a policy: switches, reports, ejection, knobs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "guard.skel.h"
#include "lib.h"

#define TICK		"cfs_check_preempt_tick"
#define PHASE_MS	500

FIXTURE(guard) {
	struct guard *skel;
	struct load loads[2];
	struct bpf_link *link;
	struct policy policy;
	uint64_t max_hold_ns, max_call_ns, overruled_limit;
	int kmsg;
};

FIXTURE_SETUP(guard)
{
	const struct load_attr attr = { .kind = HOG };

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_hold_ns = get_knob("max_hold_ns");
	self->max_call_ns = get_knob("max_call_ns");
	self->overruled_limit = get_knob("overruled_limit");
	ASSERT_EQ(1, get_knob("enabled"));
	self->skel = guard__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(guard)
{
	bpf_link__destroy(self->link);
	load_stop(&self->loads[0]);
	load_stop(&self->loads[1]);
	guard__destroy(self->skel);
	set_knob("enabled", 1);
	set_knob("max_hold_ns", self->max_hold_ns);
	set_knob("max_call_ns", self->max_call_ns);
	set_knob("overruled_limit", self->overruled_limit);
	close(self->kmsg);
}

#define ATTACH(map) ({								\
	self->link = bpf_map__attach_struct_ops(self->skel->maps.map);		\
	ASSERT_NE(NULL, self->link);						\
	ASSERT_EQ(0, read_policy(#map, &self->policy));				\
})

/* How often the kernel has said this of the policy. */
static int messages(int kmsg, uint64_t policy_id, const char *text)
{
	char record[8192], id[32];
	ssize_t len;
	int n = 0;

	snprintf(id, sizeof(id), "(id %lu) ", policy_id);
	lseek(kmsg, 0, SEEK_SET);
	/* A record that was overwritten meanwhile is an error, once. */
	while ((len = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (len < 0) {
			errno = 0;
			continue;
		}
		record[len] = 0;
		n += strstr(record, text) && strstr(record, id);
	}
	return n;
}

#define MESSAGES(text) messages(self->kmsg, self->policy.id, text)

static uint64_t switches_in_phase(pid_t pid)
{
	uint64_t before = switches(pid);

	sleep_ms(PHASE_MS);
	return switches(pid) - before;
}

static uint64_t calls_in_phase(const char *policy)
{
	struct counters before, after;

	if (read_counters(policy, TICK, &before))
		return 0;
	sleep_ms(PHASE_MS);
	if (read_counters(policy, TICK, &after))
		return 0;
	return after.calls - before.calls;
}

/* Off: not asked, not obeyed, still attached. On: as before. */
TEST_F(guard, sysrq)
{
	uint64_t n[3];

	ATTACH(keeps);
	n[0] = switches_in_phase(self->loads[0].pid);
	EXPECT_GT(calls_in_phase("keeps"), 0);

	ASSERT_EQ(0, write_file("/proc/sysrq-trigger", "P"));
	EXPECT_EQ(0, get_knob("enabled"));
	n[1] = switches_in_phase(self->loads[0].pid);
	EXPECT_EQ(0, calls_in_phase("keeps"));
	EXPECT_EQ(1, count_policies("keeps", TICK));

	ASSERT_EQ(0, set_knob("enabled", 1));
	EXPECT_GT(calls_in_phase("keeps"), 0);
	n[2] = switches_in_phase(self->loads[0].pid);
	TH_LOG("switches: on %lu, off %lu, on %lu", n[0], n[1], n[2]);
	EXPECT_GT(n[1], 3 * n[0]);
	EXPECT_GT(n[1], 3 * n[2]);
}

/* The switch also ends what a policy holds now: a second is not waited for. */
TEST_F(guard, switch_ends_hold)
{
	uint64_t before[2], after[2];
	int i;

	ASSERT_EQ(0, set_knob("max_hold_ns", NSEC_PER_SEC));
	ATTACH(keeps);
	sleep_ms(1500);
	ASSERT_EQ(0, set_knob("enabled", 0));
	for (i = 0; i < 2; i++)
		before[i] = cpu_time_ns(self->loads[i].pid);
	sleep_ms(400);
	for (i = 0; i < 2; i++)
		after[i] = cpu_time_ns(self->loads[i].pid);
	/* One was held and the other was not running: who waited runs at once. */
	EXPECT_GT(after[0] + after[1] - before[0] - before[1], 0);
	EXPECT_GT(switches_in_phase(self->loads[0].pid), 20);
}

TEST_F(guard, attach_while_off)
{
	ASSERT_EQ(0, set_knob("enabled", 0));
	ATTACH(keeps);
	EXPECT_EQ(0, calls_in_phase("keeps"));
	ASSERT_EQ(0, set_knob("enabled", 1));
	EXPECT_GT(calls_in_phase("keeps"), 0);
}

TEST_F(guard, knobs)
{
	static const struct { const char *name; uint64_t min, max; } knobs[] = {
		{ "enabled", 0, 1 },
		{ "max_hold_ns", NSEC_PER_MSEC, NSEC_PER_SEC },
		{ "max_call_ns", 1000, 10 * NSEC_PER_MSEC },
		{ "overruled_limit", 1, 1000000000 },
	};
	char path[128];
	int i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		const char *name = knobs[i].name;

		EXPECT_EQ(0, set_knob(name, knobs[i].min));
		EXPECT_EQ(knobs[i].min, get_knob(name));
		EXPECT_EQ(0, set_knob(name, knobs[i].max));
		EXPECT_EQ(knobs[i].max, get_knob(name));
		EXPECT_EQ(-ERANGE, set_knob(name, knobs[i].max + 1));
		if (knobs[i].min)
			EXPECT_EQ(-ERANGE, set_knob(name, knobs[i].min - 1));
		snprintf(path, sizeof(path), BPF_SCHED_DEBUGFS "%s", name);
		EXPECT_EQ(-EINVAL, write_file(path, "soon"));
		EXPECT_EQ(knobs[i].max, get_knob(name));
	}
}

/* A hold of 1 ms in a slice of 100 ms: most answers "keep running" are too late. */
#define OVERRULE_MOST() ({							\
	const struct load_attr attr = {						\
		.kind = HOG, .slice_ns = 100 * NSEC_PER_MSEC,			\
	};									\
	int n;									\
										\
	for (n = 0; n < 2; n++) {						\
		load_stop(&self->loads[n]);					\
		ASSERT_EQ(0, load_start(&self->loads[n], &attr));		\
	}									\
	ASSERT_EQ(0, set_knob("max_hold_ns", NSEC_PER_MSEC));			\
})

/* The policy is named once, however long that goes on. */
TEST_F(guard, overruled_is_reported)
{
	struct counters c;

	OVERRULE_MOST();
	ASSERT_EQ(0, set_knob("overruled_limit", 50));
	ATTACH(keeps);
	sleep_ms(3000);
	ASSERT_EQ(0, read_counters("keeps", TICK, &c));
	TH_LOG("%lu of %lu answers overruled", c.overruled_hold, c.negative);
	EXPECT_GE(c.overruled_hold, 100);
	EXPECT_EQ(c.overruled, c.overruled_hold);
	EXPECT_EQ(1, MESSAGES("is overruled too often: it held a CPU"));
	EXPECT_EQ(1, count_policies("keeps", TICK));
}

TEST_F(guard, overruled_is_detached)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	OVERRULE_MOST();
	ASSERT_EQ(0, set_knob("overruled_limit", 50));
	ATTACH(keeps_or_leaves);
	EXPECT_TRUE(policy_gone("keeps_or_leaves"));
	EXPECT_EQ(1, MESSAGES("; detached"));
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &info, &len));
	EXPECT_EQ(0, info.struct_ops.map_id);
}

/* What was found of a policy is not held against what replaces it. */
TEST_F(guard, replacement_is_judged_anew)
{
	OVERRULE_MOST();
	ASSERT_EQ(0, set_knob("overruled_limit", 50));
	ATTACH(keeps);
	sleep_ms(1500);
	EXPECT_EQ(1, MESSAGES("is overruled too often"));
	EXPECT_EQ(1, count_policies("keeps", TICK));
	/* The same answers, but now they have a consequence. */
	ASSERT_EQ(0, bpf_link__update_map(self->link, self->skel->maps.keeps_or_leaves));
	EXPECT_TRUE(policy_gone("keeps_or_leaves"));
	EXPECT_EQ(2, MESSAGES("is overruled too often"));
}

/* Overruled now and then is no reason for a report. */
TEST_F(guard, rarely_overruled)
{
	struct counters c;

	ASSERT_EQ(0, set_knob("overruled_limit", 20));
	ASSERT_EQ(0, set_knob("max_hold_ns", 50 * NSEC_PER_MSEC));
	ATTACH(keeps);
	sleep_ms(1000);
	ASSERT_EQ(0, read_counters("keeps", TICK, &c));
	TH_LOG("%lu of %lu answers overruled", c.overruled, c.negative);
	EXPECT_GT(c.overruled, 0);
	EXPECT_EQ(0, MESSAGES("overruled too often"));
}

/* A policy that works for too long is detached, one that does not stays. */
TEST_F(guard, slow)
{
	uint64_t rounds[2];
	int i;

	ASSERT_EQ(0, set_knob("max_call_ns", 1000));
	ATTACH(loops);
	sleep_ms(200);
	for (i = 0; i < 2; i++)
		rounds[i] = self->loads[i].stats->rounds;
	EXPECT_TRUE(policy_gone("loops"));
	EXPECT_EQ(1, MESSAGES("is too slow: most calls of " TICK));
	for (i = 0; i < 2; i++)
		EXPECT_GT(self->loads[i].stats->rounds, rounds[i]);
}

TEST_F(guard, not_slow)
{
	struct counters c;

	ASSERT_EQ(0, set_knob("max_call_ns", 10 * NSEC_PER_MSEC));
	ATTACH(loops);
	sleep_ms(3000);
	ASSERT_EQ(0, read_counters("loops", TICK, &c));
	EXPECT_GT(c.calls, 1000);
	EXPECT_EQ(0, MESSAGES("too slow"));
}

/* The mean time of a call, in nanoseconds. */
static uint64_t call_time(const char *policy)
{
	struct counters before, after;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (stats < 0 || read_counters(policy, TICK, &before))
		return 0;
	sleep_ms(PHASE_MS);
	if (read_counters(policy, TICK, &after))
		return 0;
	close(stats);
	if (after.calls == before.calls)
		return 0;
	return (after.time_ns - before.time_ns) / (after.calls - before.calls);
}

/*
 * A question may take four times max_call_ns. Sixteen policies that each take half of
 * that do not fit in, eight would: some have to leave, and not all.
 */
TEST_F(guard, slow_together)
{
	struct bpf_link *links[16] = {};
	uint64_t ns;
	int i, n;

	ASSERT_EQ(0, set_knob("max_call_ns", 10 * NSEC_PER_MSEC));
	ATTACH(loops_short);
	ns = call_time("loops_short");
	ASSERT_GT(ns, 500);
	ASSERT_EQ(0, set_knob("max_call_ns", 2 * ns));

	for (i = 0; i < 3; i++) {
		links[i] = bpf_map__attach_struct_ops(self->skel->maps.loops_short);
		ASSERT_NE(NULL, links[i]);
	}
	sleep_ms(2000);
	EXPECT_EQ(4, count_policies("loops_short", TICK));

	for (; i < ARRAY_SIZE(links) - 1; i++) {
		links[i] = bpf_map__attach_struct_ops(self->skel->maps.loops_short);
		ASSERT_NE(NULL, links[i]);
	}
	sleep_ms(3000);
	n = count_policies("loops_short", TICK);
	TH_LOG("%d of %zu policies of %lu ns stay", n, ARRAY_SIZE(links), ns);
	EXPECT_LE(n, 12);
	EXPECT_GE(n, 4);

	for (i = 0; i < ARRAY_SIZE(links); i++)
		bpf_link__destroy(links[i]);
}

TEST_HARNESS_MAIN
