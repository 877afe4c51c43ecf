// SPDX-License-Identifier: GPL-2.0
/*
 * Policies next to other scheduling classes and policies, sched_ext, core scheduling,
 * bandwidth limits and proxy execution.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "coexist.skel.h"
#include "lib.h"
#include "policy.h"

#define PHASE_MS	1000
#define WAKEUP		"cfs_check_preempt_wakeup"
#define TICK		"cfs_check_preempt_tick"
#define RT_RUNTIME	"/proc/sys/kernel/sched_rt_runtime_us"
#define MAX_LOADS	8

#ifndef SCHED_EXT
#define SCHED_EXT	7
#endif

FIXTURE(coexist) {
	struct coexist *skel;
	struct bpf_link *link;
	struct load loads[MAX_LOADS];
	int nr_loads;
	char cgroup[128];
	char rt_runtime[32];
};

FIXTURE_SETUP(coexist)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, read_file(RT_RUNTIME, self->rt_runtime, sizeof(self->rt_runtime)));
	self->skel = coexist__open();
	ASSERT_NE(NULL, self->skel);
	/* For the tests that need sched_ext. */
	bpf_map__set_autocreate(self->skel->maps.ext_full, false);
	bpf_map__set_autocreate(self->skel->maps.ext_partial, false);
}

FIXTURE_TEARDOWN(coexist)
{
	int i;

	for (i = 0; i < self->nr_loads; i++)
		load_stop(&self->loads[i]);
	bpf_link__destroy(self->link);
	coexist__destroy(self->skel);
	write_file(RT_RUNTIME, self->rt_runtime);
	if (self->cgroup[0]) {
		cgroup_remove(self->cgroup);
		write_file(CGROUP_CONTROL, "-cpu");
	}
}

/* Let the wakeup and tick hooks return this. */
#define attach(ret) ({								\
	ASSERT_EQ(0, coexist__load(self->skel));				\
	self->skel->bss->answer = ret;						\
	self->link = attach_root(self->skel->maps.counting);	\
	ASSERT_NE(NULL, self->link);						\
})

/* The new load, which the fixture stops. */
#define start(...) ({								\
	const struct load_attr attr = { __VA_ARGS__ };				\
	struct load *started = &self->loads[self->nr_loads];			\
										\
	ASSERT_LT(self->nr_loads, MAX_LOADS);					\
	ASSERT_EQ(0, load_start(started, &attr));				\
	self->nr_loads++;							\
	started;								\
})

/* Calls of these hooks in the next @ms, in which all loads go on. */
#define calls_in(ms) ({								\
	uint64_t rounds[MAX_LOADS], calls;					\
	int i;									\
										\
	for (i = 0; i < self->nr_loads; i++)					\
		rounds[i] = self->loads[i].stats->rounds;			\
	calls = all_calls();							\
	sleep_ms(ms);								\
	calls = all_calls() - calls;						\
	for (i = 0; i < self->nr_loads; i++)					\
		EXPECT_GT(self->loads[i].stats->rounds, rounds[i]);		\
	calls;									\
})

static uint64_t all_calls(void)
{
	return calls_of("counting", WAKEUP) + calls_of("counting", TICK);
}

static uint64_t rounds_in(const struct load *load, unsigned int ms)
{
	uint64_t rounds = load->stats->rounds;

	sleep_ms(ms);
	return load->stats->rounds - rounds;
}

/* A deadline task may be pinned only without admission control. */
#define make_deadline(load) ({							\
	ASSERT_EQ(0, write_file(RT_RUNTIME, "-1"));				\
	ASSERT_EQ(0, load_make_deadline(load));					\
})

/* One of each kind of task on one CPU: the rules of struct bpf_sched_ops. */
TEST_F(coexist, hooks_skip_rt_dl_idle)
{
	const int never[] = { SCHED_FIFO, SCHED_DEADLINE };
	const struct coexist__bss *seen;
	struct load *deadline;
	int i;

	/* The idle ones run only when no other does, so these sleep now and then. */
	start(.kind = SLEEPER, .work_ns = NSEC_PER_MSEC);
	/* Where all timers expire at ticks, one alone may keep in step with the others. */
	start(.kind = SLEEPER, .work_ns = NSEC_PER_MSEC * 7 / 10);
	/* Works for longer than the other sleeps, which so wakes up meanwhile. */
	start(.kind = SLEEPER, .work_ns = 3 * NSEC_PER_MSEC, .policy = SCHED_BATCH);
	start(.kind = HOG, .policy = SCHED_IDLE);
	start(.kind = SLEEPER, .policy = SCHED_IDLE);
	start(.kind = SLEEPER, .policy = SCHED_FIFO);
	deadline = start(.kind = SLEEPER);
	make_deadline(deadline);
	attach(0);
	seen = self->skel->bss;
	EXPECT_GT(calls_in(3 * PHASE_MS), 0);

	TH_LOG("ticks: normal %llu, batch %llu; wakees: normal %llu; preempted: batch %llu",
	       seen->ticks[SCHED_OTHER], seen->ticks[SCHED_BATCH],
	       seen->wakees[SCHED_OTHER], seen->preempted[SCHED_BATCH]);
	EXPECT_GT(seen->ticks[SCHED_OTHER], 0);
	EXPECT_GT(seen->ticks[SCHED_BATCH], 0);
	EXPECT_EQ(0, seen->ticks[SCHED_IDLE]);
	EXPECT_GT(seen->slices[SCHED_OTHER], 0);
	EXPECT_GT(seen->slices[SCHED_BATCH], 0);
	EXPECT_GT(seen->wakees[SCHED_OTHER], 0);
	EXPECT_EQ(0, seen->wakees[SCHED_BATCH]);
	EXPECT_EQ(0, seen->wakees[SCHED_IDLE]);
	EXPECT_GT(seen->preempted[SCHED_BATCH], 0);
	EXPECT_EQ(0, seen->preempted[SCHED_IDLE]);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, seen->ticks[never[i]]);
		EXPECT_EQ(0, seen->slices[never[i]]);
		EXPECT_EQ(0, seen->wakees[never[i]]);
		EXPECT_EQ(0, seen->preempted[never[i]]);
	}
}

TEST_F(coexist, extension_does_not_delay_deadline)
{
	struct load *deadline;
	uint64_t stock, kept;

	start(.kind = HOG);
	start(.kind = HOG);
	deadline = start(.kind = SLEEPER);
	make_deadline(deadline);
	stock = rounds_in(deadline, PHASE_MS);
	attach(-1);
	kept = rounds_in(deadline, PHASE_MS);
	EXPECT_GT(calls_in(PHASE_MS), 0);

	TH_LOG("rounds: default %lu, with hogs extended %lu", stock, kept);
	EXPECT_GT(kept, stock / 2);
}

/* An extended slice does not exceed cpu.max of its cgroup. */
TEST_F(coexist, extension_keeps_quota)
{
	const uint64_t quota = 2 * PHASE_MS * NSEC_PER_MSEC / 10;
	struct load *limited, *other;
	uint64_t times[2];
	char path[256];

	ASSERT_EQ(0, write_file(CGROUP_CONTROL, "+cpu"));
	ASSERT_EQ(0, cgroup_make(NULL, "limited", self->cgroup, sizeof(self->cgroup)));
	snprintf(path, sizeof(path), "%s/cpu.max", self->cgroup);
	ASSERT_EQ(0, write_file(path, "10000 100000"));
	limited = start(.kind = HOG, .cgroup = self->cgroup);
	other = start(.kind = HOG);
	attach(-1);
	sleep_ms(200);
	times[0] = cpu_time_ns(limited->pid);
	times[1] = cpu_time_ns(other->pid);
	EXPECT_GT(calls_in(2 * PHASE_MS), 0);
	times[0] = cpu_time_ns(limited->pid) - times[0];
	times[1] = cpu_time_ns(other->pid) - times[1];

	TH_LOG("limited to %lu ms: %lu ms, the other %lu ms", quota / NSEC_PER_MSEC,
	       times[0] / NSEC_PER_MSEC, times[1] / NSEC_PER_MSEC);
	EXPECT_LT(times[0], 2 * quota);
	EXPECT_GT(times[1], 2 * times[0]);
}

TEST_F(coexist, sched_ext_full_silences)
{
	uint64_t before, during, after;
	struct bpf_link *ext;

	if (!has_sched_ext())
		SKIP(return, "the kernel has no sched_ext");
	bpf_map__set_autocreate(self->skel->maps.ext_full, true);
	start(.kind = HOG);
	start(.kind = HOG);
	start(.kind = SLEEPER);
	attach(-1);
	before = calls_in(PHASE_MS);
	ext = bpf_map__attach_struct_ops(self->skel->maps.ext_full);
	ASSERT_NE(NULL, ext);
	during = calls_in(PHASE_MS);
	EXPECT_EQ(0, system("./bpftool sched show | grep -q 'sched_ext runs all fair tasks'"));
	bpf_link__destroy(ext);
	after = calls_in(PHASE_MS);

	TH_LOG("calls: before %lu, with sched_ext %lu, after %lu", before, during, after);
	EXPECT_GT(before, 0);
	EXPECT_EQ(0, during);
	EXPECT_GT(after, 0);
}

/* Hooks are called for SCHED_EXT tasks only while these are in the fair class. */
TEST_F(coexist, sched_ext_partial_skips)
{
	uint64_t ticks[2], wakees[2], placed[2];
	const struct coexist__bss *seen;
	struct bpf_link *ext;
	int i;

	if (!has_sched_ext())
		SKIP(return, "the kernel has no sched_ext");
	bpf_map__set_autocreate(self->skel->maps.ext_partial, true);
	/* Sleepers that leave time for others and do not fall in step. */
	for (i = 1; i <= 3; i++)
		start(.kind = SLEEPER, .work_ns = i * NSEC_PER_MSEC / 10);
	/* Two, so that one always waits. */
	start(.kind = HOG, .policy = SCHED_EXT);
	start(.kind = HOG, .policy = SCHED_EXT);
	start(.kind = SLEEPER, .policy = SCHED_EXT);
	/* cfs_select_cpu() is not called for a task with one CPU. */
	start(.kind = SLEEPER, .on_both = true);
	start(.kind = SLEEPER, .policy = SCHED_EXT, .on_both = true);
	attach(0);
	seen = self->skel->bss;
	EXPECT_GT(calls_in(PHASE_MS), 0);

	ext = bpf_map__attach_struct_ops(self->skel->maps.ext_partial);
	ASSERT_NE(NULL, ext);
	ticks[0] = seen->ticks[SCHED_OTHER];
	ticks[1] = seen->ticks[SCHED_EXT];
	wakees[0] = seen->wakees[SCHED_OTHER];
	wakees[1] = seen->wakees[SCHED_EXT];
	placed[0] = seen->placed[SCHED_OTHER];
	placed[1] = seen->placed[SCHED_EXT];
	EXPECT_GT(ticks[1], 0);
	EXPECT_GT(wakees[1], 0);
	EXPECT_GT(placed[1], 0);
	EXPECT_GT(calls_in(PHASE_MS), 0);
	TH_LOG("with sched_ext %llu ticks and %llu wakeups, of its tasks %llu and %llu",
	       seen->ticks[SCHED_OTHER] - ticks[0], seen->wakees[SCHED_OTHER] - wakees[0],
	       seen->ticks[SCHED_EXT] - ticks[1], seen->wakees[SCHED_EXT] - wakees[1]);
	EXPECT_GT(seen->ticks[SCHED_OTHER], ticks[0]);
	EXPECT_GT(seen->wakees[SCHED_OTHER], wakees[0]);
	EXPECT_GT(seen->placed[SCHED_OTHER], placed[0]);
	EXPECT_EQ(seen->ticks[SCHED_EXT], ticks[1]);
	EXPECT_EQ(seen->wakees[SCHED_EXT], wakees[1]);
	EXPECT_EQ(seen->placed[SCHED_EXT], placed[1]);

	bpf_link__destroy(ext);
	EXPECT_GT(calls_in(PHASE_MS), 0);
	EXPECT_GT(seen->ticks[SCHED_EXT], ticks[1]);
	EXPECT_GT(seen->wakees[SCHED_EXT], wakees[1]);
	EXPECT_GT(seen->placed[SCHED_EXT], placed[1]);
}

/* The shares of the next @ms that two tasks have, in thousandths. */
static void shares_in(const struct load *const two[2], unsigned int ms, uint64_t shares[2])
{
	uint64_t begin = now_ns();
	int i;

	for (i = 0; i < 2; i++)
		shares[i] = cpu_time_ns(two[i]->pid);
	sleep_ms(ms);
	for (i = 0; i < 2; i++)
		shares[i] = (cpu_time_ns(two[i]->pid) - shares[i]) * 1000 / (now_ns() - begin);
}

/*
 * Two tasks that must not share a core, on both CPUs of one, each with a rival on its CPU.
 * With a policy that extends all slices and lets no wakee preempt they have the time that
 * they have without one.
 */
TEST_F_TIMEOUT(coexist, extension_keeps_cookies_apart, 90)
{
	const struct load *two[2];
	uint64_t stock[2], kept[2];
	struct load *rival;
	int i, err;

	two[0] = start(.kind = HOG);
	err = load_make_cookie(two[0]);
	if (err == -ENODEV || err == -EINVAL)
		SKIP(return, "%s", err == -ENODEV ? "no CPU has SMT siblings" :
						    "the kernel has no core scheduling");
	ASSERT_EQ(0, err);
	start(.kind = SLEEPER, .policy = SCHED_BATCH);
	two[1] = start(.kind = HOG);
	ASSERT_EQ(0, load_make_cookie(two[1]));
	ASSERT_EQ(0, load_move_to_cpu(two[1], TEST_CPU));
	rival = start(.kind = SLEEPER, .policy = SCHED_BATCH);
	ASSERT_EQ(0, load_move_to_cpu(rival, TEST_CPU));

	shares_in(two, 5 * PHASE_MS, stock);
	attach(-1);
	EXPECT_GT(calls_in(PHASE_MS), 0);
	shares_in(two, 10 * PHASE_MS, kept);

	TH_LOG("%lu and %lu thousandths by default, %lu and %lu with the policy",
	       stock[0], stock[1], kept[0], kept[1]);
	for (i = 0; i < 2; i++) {
		EXPECT_GT(kept[i], stock[i] / 2);
		EXPECT_LT(kept[i], stock[i] * 2);
	}
	EXPECT_LT(kept[0] + kept[1], 1250);
}

static bool has_proxy_execution(void)
{
	char line[256];
	bool found = false;
	FILE *f;

	f = fopen("/proc/kallsyms", "r");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, " __sched_proxy_exec\n");
	fclose(f);
	return found;
}

/* The operations of all contenders take the mutex of one pipe, and keep it long. */
static pid_t start_contender(const int fds[2])
{
	static char block[65536];
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (write(fds[1], block, sizeof(block)) >= 0 || errno == EAGAIN) {
		if (read(fds[0], block, sizeof(block)) < 0 && errno != EAGAIN)
			break;
	}
	_exit(1);
}

/* The donor waits for a mutex, and the owner of that runs. */
TEST_F_TIMEOUT(coexist, tick_gets_donor, 90)
{
	struct load contenders[4] = {};
	int fds[2], answer, i;

	if (!has_proxy_execution())
		SKIP(return, "the kernel has no proxy execution");
	ASSERT_EQ(0, pipe2(fds, O_NONBLOCK));
	start(.kind = HOG);
	start(.kind = SLEEPER);
	attach(0);
	for (i = 0; i < 4; i++) {
		contenders[i].pid = start_contender(fds);
		ASSERT_GT(contenders[i].pid, 0);
		ASSERT_EQ(0, load_move_to_cpu(&contenders[i], LOAD_CPU));
	}
	/* How often the mutex is held at a tick is luck. */
	for (i = 0; i < 5 && !self->skel->bss->proxied; i++) {
		for (answer = -1; answer <= 1; answer++) {
			self->skel->bss->answer = answer;
			EXPECT_GT(calls_in(2 * PHASE_MS), 0);
		}
	}
	TH_LOG("ticks with another task as current: %llu", self->skel->bss->proxied);
	EXPECT_GT(self->skel->bss->proxied, 0);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, waitpid(contenders[i].pid, NULL, WNOHANG));
		kill(contenders[i].pid, SIGKILL);
		waitpid(contenders[i].pid, NULL, 0);
	}
}

TEST_HARNESS_MAIN
