// SPDX-License-Identifier: GPL-2.0
/*
 * Policies under load while tasks move, cgroups go, CPUs go, links are updated, and hooks
 * return random values: all tasks make progress and the counters add up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "fuzz.skel.h"
#include "lib.h"
#include "policy.h"

#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define TICK		"cfs_check_preempt_tick"
#define SLICE		"cfs_slice"
#define EXPEDITED	"/sys/kernel/rcu_expedited"
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu1/online"
#define MAX_POLICIES	64

FIXTURE(stress) {
	struct answer *first, *second;
	struct load loads[NR_MIXED_LOADS];
	char cgroups[2][128];
	char expedited[16];
	uint64_t max_slice_ns;
	pid_t commands[2];
};

FIXTURE_SETUP(stress)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice_ns = get_knob("max_slice_ns");
	self->first = answer__open_and_load();
	ASSERT_NE(NULL, self->first);
	self->second = answer__open_and_load();
	ASSERT_NE(NULL, self->second);
	self->first->bss->tick_answer = -1;
	self->first->bss->wakeup_answer = -1;
	self->second->bss->wakeup_answer = 1;
	ASSERT_EQ(0, cgroup_make(NULL, "a", self->cgroups[0], sizeof(self->cgroups[0])));
	ASSERT_EQ(0, cgroup_make(NULL, "b", self->cgroups[1], sizeof(self->cgroups[1])));
	ASSERT_EQ(0, read_file(EXPEDITED, self->expedited, sizeof(self->expedited)));
	ASSERT_EQ(0, mixed_loads_start(self->loads));
}

FIXTURE_TEARDOWN(stress)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (self->commands[i] > 0) {
			kill(-self->commands[i], SIGKILL);
			waitpid(self->commands[i], NULL, 0);
		}
	}
	for (i = 0; i < NR_MIXED_LOADS; i++)
		load_stop(&self->loads[i]);
	answer__destroy(self->first);
	answer__destroy(self->second);
	for (i = 0; i < 2; i++)
		cgroup_remove(self->cgroups[i]);
	write_file(EXPEDITED, self->expedited);
	write_file(CPU_ONLINE, "1");
	set_knob("enabled", 1);
	set_knob("max_slice_ns", self->max_slice_ns);
}

#define EXPECT_PROGRESS()	EXPECT_EQ(0, mixed_loads_stuck(self->loads))

/* Expect not more return values than calls, of a hook that is not called meanwhile. */
#define EXPECT_CONSISTENT(policy, hook) ({					\
	struct counters sum;							\
										\
	ASSERT_EQ(0, set_knob("enabled", 0));					\
	sleep_ms(100);								\
	ASSERT_EQ(0, read_counters(policy, hook, &sum));			\
	ASSERT_EQ(0, set_knob("enabled", 1));					\
	EXPECT_GT(sum.calls, 0);						\
	EXPECT_GE(sum.calls, sum.negative + sum.positive);			\
	sum;									\
})

TEST_F_TIMEOUT(stress, tasks_move, 600)
{
	struct counters before, after;
	struct bpf_link *link;
	int i, n;

	link = attach_to(self->first->maps.all_hooks, self->cgroups[0]);
	ASSERT_NE(NULL, link);
	for (i = 0; i < 300; i++) {
		for (n = 0; n < NR_MIXED_LOADS; n++) {
			ASSERT_EQ(0, load_move_to_cpu(&self->loads[n], (i + n) % 2));
			ASSERT_EQ(0, load_move_to_cgroup(&self->loads[n],
							 self->cgroups[(i / 2 + n) % 2]));
		}
	}
	EXPECT_PROGRESS();
	EXPECT_CONSISTENT("answer_all", WAKEUP);
	EXPECT_CONSISTENT("answer_all", TICK);

	for (n = 0; n < NR_MIXED_LOADS; n++)
		ASSERT_EQ(0, load_move_to_cgroup(&self->loads[n], self->cgroups[1]));
	before = EXPECT_CONSISTENT("answer_all", TICK);
	EXPECT_PROGRESS();
	after = EXPECT_CONSISTENT("answer_all", TICK);
	EXPECT_EQ(before.calls, after.calls);
	bpf_link__destroy(link);
	EXPECT_TRUE(policy_gone("answer_all"));
}

#define REMOVALS	200

TEST_F_TIMEOUT(stress, cgroups_removed, 600)
{
	struct bpf_link *link;
	int i, called = 0;
	char path[128];

	for (i = 0; i < REMOVALS; i++) {
		const struct load_attr attr = { .kind = HOG, .cgroup = path };
		struct load load = {};

		ASSERT_EQ(0, cgroup_make(NULL, "removed", path, sizeof(path)));
		link = attach_to(self->first->maps.only_tick, path);
		ASSERT_NE(NULL, link);
		ASSERT_EQ(0, load_start(&load, &attr));
		sleep_ms(5);
		called += calls_of("answer_tick", TICK) > 0;
		load_stop(&load);
		/* The link goes before the cgroup or after it. */
		if (i % 2)
			bpf_link__destroy(link);
		cgroup_remove(path);
		EXPECT_TRUE(policy_gone("answer_tick"));
		if (i % 2 == 0)
			bpf_link__destroy(link);
		EXPECT_NE(0, access(path, F_OK));
	}
	EXPECT_GT(called, REMOVALS / 4);
	EXPECT_PROGRESS();
}

static pid_t start_command(const char *command)
{
	pid_t pid = fork();

	if (!pid) {
		setpgid(0, 0);
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	return pid;
}

TEST_F_TIMEOUT(stress, links_updated, 1500)
{
	const char *wanted = getenv("SCHED_BPF_UPDATES");
	int i, n = wanted ? atoi(wanted) : 10000;
	struct bpf_link *link;
	uint64_t start;

	if (system("command -v stress-ng hackbench >/dev/null"))
		SKIP(return, "stress-ng and hackbench are needed");
	/* Nice, as the RCU threads that updates wait for are not urgent. */
	self->commands[0] =
		start_command("nice -n 19 stress-ng --temp-path /tmp --cpu 2 --switch 2");
	self->commands[1] =
		start_command("while nice -n 19 hackbench -p -g 1 -l 100; do :; done");
	ASSERT_EQ(0, write_file(EXPEDITED, "1"));
	/* Extended slices must not hold up a grace period for long. */
	ASSERT_EQ(0, set_knob("max_slice_ns", NSEC_PER_MSEC));
	link = attach_root(self->first->maps.all_hooks);
	ASSERT_NE(NULL, link);
	start = now_ns();
	for (i = 0; i < n; i += 2) {
		ASSERT_EQ(0, bpf_link__update_map(link, self->second->maps.only_wakeup));
		ASSERT_EQ(0, bpf_link__update_map(link, self->first->maps.all_hooks));
	}
	TH_LOG("%d updates in %lu ms", i, (now_ns() - start) / NSEC_PER_MSEC);

	EXPECT_EQ(1, count_policies("answer_all"));
	EXPECT_EQ(0, count_policies("answer_wakeup"));
	EXPECT_CONSISTENT("answer_all", WAKEUP);
	EXPECT_CONSISTENT("answer_all", TICK);
	EXPECT_PROGRESS();
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, waitpid(self->commands[i], NULL, WNOHANG));
	bpf_link__destroy(link);
	EXPECT_TRUE(policy_gone("answer_all"));
}

TEST_F_TIMEOUT(stress, links_come_and_go, 300)
{
	struct bpf_link *link;
	int i;

	for (i = 0; i < 100; i++) {
		link = attach_root(self->first->maps.all_hooks);
		ASSERT_NE(NULL, link);
		if (i % 2)
			sched_yield();
		ASSERT_EQ(0, bpf_link__destroy(link));
	}
	EXPECT_TRUE(policy_gone("answer_all"));
	EXPECT_PROGRESS();
}

TEST_F_TIMEOUT(stress, cpu_goes, 300)
{
	struct bpf_link *link;
	int i, n;

	link = attach_root(self->first->maps.all_hooks);
	ASSERT_NE(NULL, link);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, write_file(CPU_ONLINE, "0"));
		ASSERT_EQ(0, bpf_link__update_map(link, self->second->maps.only_wakeup));
		ASSERT_EQ(0, write_file(CPU_ONLINE, "1"));
		for (n = 0; n < NR_MIXED_LOADS; n++)
			ASSERT_EQ(0, load_move_to_cpu(&self->loads[n], LOAD_CPU));
		ASSERT_EQ(0, bpf_link__update_map(link, self->first->maps.all_hooks));
	}
	EXPECT_PROGRESS();
	EXPECT_CONSISTENT("answer_all", WAKEUP);
	EXPECT_CONSISTENT("answer_all", TICK);
	bpf_link__destroy(link);
	EXPECT_TRUE(policy_gone("answer_all"));
}

/* As many as a cgroup can have, in the root or in each of some nested cgroups. */
FIXTURE(many) {
	struct answer *skel;
	struct bpf_link *links[4 * MAX_POLICIES];
	struct load loads[2];
	uint64_t max_share;
	char cgroups[4][512];
};

FIXTURE_VARIANT(many) {
	int depth;
};

FIXTURE_VARIANT_ADD(many, root) {
	.depth = 0,
};

FIXTURE_VARIANT_ADD(many, nested) {
	.depth = 4,
};

FIXTURE_SETUP(many)
{
	const struct load_attr hog = { .kind = HOG }, sleeper = { .kind = SLEEPER };
	int i;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_share = get_knob("max_share");
	ASSERT_EQ(0, set_knob("max_share", 50));
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	for (i = 0; i < variant->depth; i++)
		ASSERT_EQ(0, cgroup_make(i ? self->cgroups[i - 1] : NULL, "n",
					 self->cgroups[i], sizeof(self->cgroups[i])));
	ASSERT_EQ(0, load_start(&self->loads[0], &hog));
	ASSERT_EQ(0, load_start(&self->loads[1], &sleeper));
	if (variant->depth)
		ASSERT_EQ(0, load_move_to_cgroup(&self->loads[1],
						 self->cgroups[variant->depth - 1]));
}

FIXTURE_TEARDOWN(many)
{
	int i;

	for (i = 0; i < 2; i++)
		load_stop(&self->loads[i]);
	for (i = 0; i < 4 * MAX_POLICIES; i++)
		bpf_link__destroy(self->links[i]);
	for (i = variant->depth; i--; )
		cgroup_remove(self->cgroups[i]);
	answer__destroy(self->skel);
	set_knob("max_share", self->max_share);
}

TEST_F_TIMEOUT(many, all_are_called, 300)
{
	int i, nr = MAX_POLICIES * (variant->depth ?: 1);
	uint64_t calls, wakeups;

	for (i = 0; i < nr; i++) {
		self->links[i] = attach_to(self->skel->maps.only_wakeup, variant->depth ?
					   self->cgroups[i / MAX_POLICIES] : CGROUP_ROOT);
		ASSERT_NE(NULL, self->links[i]);
	}
	EXPECT_EQ(nr, count_policies("answer_wakeup"));
	self->skel->bss->only_tgid = self->loads[1].pid;
	calls = calls_of("answer_wakeup", WAKEUP);
	wakeups = self->loads[1].stats->rounds;
	sleep_ms(2000);
	wakeups = self->loads[1].stats->rounds - wakeups;
	calls = calls_of("answer_wakeup", WAKEUP) - calls;
	TH_LOG("%lu calls of %d policies in %lu wakeups", calls, nr, wakeups);
	EXPECT_GT(wakeups, 10);
	EXPECT_GE(calls, nr * (wakeups - 2) / 2);
	EXPECT_GT(self->loads[0].stats->rounds, 0);
}

FIXTURE(fuzz) {
	struct fuzz *skel;
	struct bpf_link *links[2];
	struct load loads[NR_MIXED_LOADS];
};

FIXTURE_SETUP(fuzz)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = fuzz__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, mixed_loads_start(self->loads));
}

FIXTURE_TEARDOWN(fuzz)
{
	int i;

	for (i = 0; i < 2; i++)
		bpf_link__destroy(self->links[i]);
	for (i = 0; i < NR_MIXED_LOADS; i++)
		load_stop(&self->loads[i]);
	fuzz__destroy(self->skel);
	set_knob("enabled", 1);
}

/* Of a policy that is not called any more. */
static void expect_consistent(struct __test_metadata *_metadata, const char *policy)
{
	struct counters c;
	int i;

	for (i = 0; i < NR_HOOKS; i++) {
		const char *hook = hook_names[i];

		ASSERT_EQ(0, read_counters(policy, hook, &c));
		TH_LOG("%s %s: %lu < 0, %lu = 0, %lu > 0, rejected %lu, %lu differ", policy,
		       hook, c.negative, c.zero, c.positive, c.rejected, c.differ);
		/* The loads are bound to a CPU, so that few tasks are placed. */
		if (strcmp(hook, "cfs_select_cpu") && strcmp(hook, "cfs_can_migrate"))
			EXPECT_GT(c.calls, 0);
		EXPECT_GE(c.calls, c.negative + c.positive);
		EXPECT_LE(c.rejected, c.negative + c.positive);
		EXPECT_LE(c.rejected_kthread, c.negative);
		EXPECT_LE(c.rejected_eligible, c.positive);
		EXPECT_LE(c.rejected_short, c.positive);
		EXPECT_LE(c.rejected_custom, c.negative);
		EXPECT_LE(c.rejected_balance, c.negative);
		/* A slice that is clamped may differ too. */
		if (strcmp(hook, SLICE))
			EXPECT_LE(c.differ + c.rejected, c.negative + c.positive);
	}
}

/* A million calls, or the number in SCHED_BPF_CALLS. */
TEST_F_TIMEOUT(fuzz, random_results, 1200)
{
	const char *env = getenv("SCHED_BPF_CALLS");
	uint64_t wanted = env ? strtoull(env, NULL, 10) : 1000000, calls;
	int i;

	self->links[0] = attach_root(self->skel->maps.fuzz_shadow);
	ASSERT_NE(NULL, self->links[0]);
	self->links[1] = attach_root(self->skel->maps.fuzz);
	ASSERT_NE(NULL, self->links[1]);
	do {
		EXPECT_EQ(0, mixed_loads_stuck(self->loads));
		for (calls = 0, i = 0; i < NR_HOOKS; i++)
			calls += calls_of("fuzz", hook_names[i]);
	} while (calls < wanted);

	ASSERT_EQ(0, set_knob("enabled", 0));
	sleep_ms(100);
	expect_consistent(_metadata, "fuzz");
	expect_consistent(_metadata, "fuzz_shadow");
}

TEST_HARNESS_MAIN
