// SPDX-License-Identifier: GPL-2.0
/* What protects a machine from a policy: kill switch, time budget, limits of the knobs. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "guard.skel.h"
#include "lib.h"
#include "policy.h"

#define TICK		"cfs_check_preempt_tick"
#define SLICE		"cfs_slice"
#define PHASE_MS	500

FIXTURE(guard) {
	struct guard *skel;
	struct load loads[2];
	struct bpf_link *link, *other;
	uint64_t max_slice_ns, max_share;
};

FIXTURE_SETUP(guard)
{
	const struct load_attr attr = { .kind = HOG };

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice_ns = get_knob("max_slice_ns");
	self->max_share = get_knob("max_share");
	ASSERT_EQ(1, get_knob("enabled"));
	ASSERT_EQ(0, set_knob("max_slice_ns", 100 * NSEC_PER_MSEC));
	self->skel = guard__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	kernel_log_forget();
}

FIXTURE_TEARDOWN(guard)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->other);
	load_stop(&self->loads[0]);
	load_stop(&self->loads[1]);
	guard__destroy(self->skel);
	set_knob("enabled", 1);
	set_knob("max_slice_ns", self->max_slice_ns);
	set_knob("max_share", self->max_share);
}

#define ATTACH(map) ({								\
	struct bpf_link *link = attach_root(self->skel->maps.map);		\
										\
	ASSERT_NE(NULL, link);							\
	link;									\
})

static bool kernel_named(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "sched_bpf: policy %s took more than ", name);
	return kernel_log_has(text);
}

#define EXPECT_DISABLED(ops, ms) ({						\
	EXPECT_TRUE(policy_disabled(#ops, ms));					\
	EXPECT_TRUE(kernel_named(#ops));					\
})

#define EXPECT_ENABLED(ops) ({							\
	struct policy seen;							\
										\
	EXPECT_EQ(0, read_policy(#ops, &seen));					\
	EXPECT_STREQ("enabled", seen.state);					\
	EXPECT_FALSE(kernel_named(#ops));					\
})

static uint64_t switches_in_phase(pid_t pid)
{
	uint64_t before = switches(pid);

	sleep_ms(PHASE_MS);
	return switches(pid) - before;
}

static uint64_t calls_in_phase(const char *policy)
{
	uint64_t before = calls_of(policy, TICK);

	sleep_ms(PHASE_MS);
	return calls_of(policy, TICK) - before;
}

TEST_F(guard, sysrq_disables)
{
	uint64_t n[3];

	self->link = ATTACH(keep);
	n[0] = switches_in_phase(self->loads[0].pid);
	EXPECT_GT(calls_in_phase("keep"), 0);

	ASSERT_EQ(0, write_file("/proc/sysrq-trigger", "P"));
	EXPECT_EQ(0, get_knob("enabled"));
	n[1] = switches_in_phase(self->loads[0].pid);
	EXPECT_EQ(0, calls_in_phase("keep"));
	EXPECT_EQ(1, count_policies("keep"));

	ASSERT_EQ(0, set_knob("enabled", 1));
	EXPECT_GT(calls_in_phase("keep"), 0);
	n[2] = switches_in_phase(self->loads[0].pid);
	TH_LOG("switches: enabled %lu, disabled %lu, enabled %lu", n[0], n[1], n[2]);
	EXPECT_GT(n[1], 3 * n[0]);
	EXPECT_GT(n[1], 3 * n[2]);
}

/* What a policy has extended ends with it. */
TEST_F(guard, switch_ends_extension)
{
	uint64_t longest = 100 * NSEC_PER_MSEC;
	int i;

	self->link = ATTACH(keep);
	sleep_ms(1000);
	ASSERT_EQ(0, set_knob("enabled", 0));
	sleep_ms(longest / NSEC_PER_MSEC);
	for (i = 0; i < 2; i++)
		self->loads[i].stats->max_gap_ns = 0;
	sleep_ms(PHASE_MS);
	for (i = 0; i < 2; i++) {
		EXPECT_GT(self->loads[i].stats->max_gap_ns, 0);
		EXPECT_LT(self->loads[i].stats->max_gap_ns, longest / 3);
	}
}

TEST_F(guard, attach_while_disabled)
{
	ASSERT_EQ(0, set_knob("enabled", 0));
	self->link = ATTACH(keep);
	EXPECT_EQ(0, calls_in_phase("keep"));
	ASSERT_EQ(0, set_knob("enabled", 1));
	EXPECT_GT(calls_in_phase("keep"), 0);
}

TEST_F(guard, knobs_have_limits)
{
	static const struct { const char *name; uint64_t min, max; } knobs[] = {
		{ "enabled", 0, 1 },
		{ "max_slice_ns", NSEC_PER_MSEC / 10, 100 * NSEC_PER_MSEC },
		{ "max_share", 1, 50 },
	};
	char path[128];
	int i;

	EXPECT_EQ(10 * NSEC_PER_MSEC, self->max_slice_ns);
	EXPECT_EQ(20, self->max_share);
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		const char *name = knobs[i].name;

		EXPECT_EQ(0, set_knob(name, knobs[i].min));
		EXPECT_EQ(knobs[i].min, get_knob(name));
		EXPECT_EQ(0, set_knob(name, knobs[i].max));
		EXPECT_EQ(knobs[i].max, get_knob(name));
		EXPECT_EQ(-EINVAL, set_knob(name, knobs[i].max + 1));
		if (knobs[i].min)
			EXPECT_EQ(-EINVAL, set_knob(name, knobs[i].min - 1));
		snprintf(path, sizeof(path), BPF_SCHED_SYSFS "%s", name);
		EXPECT_EQ(-EINVAL, write_file(path, "soon"));
		EXPECT_EQ(knobs[i].max, get_knob(name));
	}
}

/* Calls of 100 ms and more, with default knobs: the second one of a CPU is the last. */
TEST_F_TIMEOUT(guard, long_calls_disabled, 300)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int prog = bpf_program__fd(self->skel->progs.time_read), i;
	uint64_t rounds[2], calls;
	char cgroup[128];

	/* The first one has page faults. */
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, bpf_prog_test_run_opts(prog, &opts));
	self->skel->bss->reads = 1 + 100 * NSEC_PER_MSEC / self->skel->bss->read_ns;
	for (i = 0; i < 2; i++)
		rounds[i] = self->loads[i].stats->rounds;
	ASSERT_EQ(0, cgroup_make(NULL, "long", cgroup, sizeof(cgroup)));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_move_to_cgroup(&self->loads[i], cgroup));
	self->link = attach_to(self->skel->maps.long_calls, cgroup);
	ASSERT_NE(NULL, self->link);
	EXPECT_DISABLED(long_calls, 20000);
	calls = calls_of("long_calls", SLICE);
	TH_LOG("%lu calls of %u reads of %llu us", calls, self->skel->bss->reads,
	       self->skel->bss->read_ns / 1000);
	EXPECT_LE(calls, 2);
	EXPECT_GT(calls, 0);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(calls, calls_of("long_calls", SLICE));
	for (i = 0; i < 2; i++) {
		EXPECT_GT(self->loads[i].stats->rounds, rounds[i]);
		load_stop(&self->loads[i]);
	}
	/* The link stays. */
	EXPECT_EQ(1, count_policies("long_calls"));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	cgroup_remove(cgroup);
}

/* The same for the tasks of the whole machine: it goes on. */
TEST_F_TIMEOUT(guard, long_calls_everywhere, 300)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int prog = bpf_program__fd(self->skel->progs.time_read), i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, bpf_prog_test_run_opts(prog, &opts));
	self->skel->bss->reads = 1 + 100 * NSEC_PER_MSEC / self->skel->bss->read_ns;
	self->link = ATTACH(long_calls);
	EXPECT_DISABLED(long_calls, 20000);
	EXPECT_LE(calls_of("long_calls", SLICE), 2 * sysconf(_SC_NPROCESSORS_ONLN));
	EXPECT_GT(switches_in_phase(self->loads[0].pid), 0);
}

TEST_F(guard, many_calls_disabled)
{
	const struct load_attr attr = { .kind = PIPE_PONG };
	uint64_t begin;

	load_stop(&self->loads[1]);
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	ASSERT_EQ(0, set_knob("max_share", 1));
	begin = now_ns();
	self->link = ATTACH(many_calls);
	EXPECT_DISABLED(many_calls, 5000);
	begin = (now_ns() - begin) / NSEC_PER_MSEC;
	TH_LOG("disabled after %lu ms", begin);
	EXPECT_LT(begin, 3000);
}

TEST_F(guard, below_share_not_named)
{
	ASSERT_EQ(0, set_knob("max_share", 50));
	self->link = ATTACH(short_loop);
	sleep_ms(3000);
	EXPECT_GT(calls_of("short_loop", TICK), 100);
	EXPECT_ENABLED(short_loop);
}

/* Of two policies, that over its share is disabled. */
TEST_F(guard, only_slow_is_disabled)
{
	ASSERT_EQ(0, set_knob("max_share", 1));
	self->link = ATTACH(loop);
	self->other = ATTACH(keep);
	EXPECT_DISABLED(loop, 5000);
	EXPECT_GT(calls_in_phase("keep"), 0);
	EXPECT_ENABLED(keep);
}

TEST_F(guard, replace_resets_budget)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, set_knob("max_share", 50));
		self->link = ATTACH(loop);
		sleep_ms(700);
		ASSERT_EQ(0, bpf_link__update_map(self->link, self->skel->maps.keep));
		ASSERT_EQ(0, set_knob("max_share", 1));
		sleep_ms(1300);
		EXPECT_GT(calls_in_phase("keep"), 0);
		EXPECT_ENABLED(keep);
		ASSERT_EQ(0, bpf_link__detach(self->link));
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
}

TEST_F(guard, update_enables)
{
	ASSERT_EQ(0, set_knob("max_share", 1));
	self->link = ATTACH(keep);
	sleep_ms(PHASE_MS);
	EXPECT_ENABLED(keep);
	/* A slow replacement has its own budget. */
	ASSERT_EQ(0, bpf_link__update_map(self->link, self->skel->maps.loop));
	EXPECT_DISABLED(loop, 5000);
	EXPECT_EQ(0, calls_in_phase("loop"));
	ASSERT_EQ(0, bpf_link__update_map(self->link, self->skel->maps.keep));
	EXPECT_GT(calls_in_phase("keep"), 0);
	EXPECT_ENABLED(keep);
}

TEST_HARNESS_MAIN
