// SPDX-License-Identifier: GPL-2.0
/*
 * Small loads that once broke a promise: the share of a task next to a chain of wakeups,
 * slices that outlive their policy, kernel threads that wait, and policies that have an
 * effect though they should have none. Best in a machine whose time counts instructions.
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
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "cases.skel.h"
#include "lib.h"

#define LONGEST_NS	(100 * NSEC_PER_MSEC)
#define TICK_NS		(4 * NSEC_PER_MSEC)	/* with HZ=250 */

FIXTURE(cases) {
	struct cases *skel;
	struct bpf_link *link;
	uint64_t max_slice_ns;
	char cgroup[128];
};

FIXTURE_SETUP(cases)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice_ns = get_knob("max_slice_ns");
	ASSERT_EQ(0, set_knob("max_slice_ns", LONGEST_NS));
	ASSERT_EQ(0, cgroup_make(NULL, "cases", self->cgroup, sizeof(self->cgroup)));
	self->skel = cases__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(cases)
{
	bpf_link__destroy(self->link);
	cases__destroy(self->skel);
	cgroup_remove(self->cgroup);
	set_knob("max_slice_ns", self->max_slice_ns);
	set_knob("enabled", 1);
}

/* Of struct sched_attr, under a name that no libc header has. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int get_attr(struct attr *attr)
{
	return syscall(SYS_sched_getattr, 0, attr, sizeof(*attr), 0) ? -errno : 0;
}

static int set_attr(const struct attr *attr)
{
	return syscall(SYS_sched_setattr, 0, attr, 0) ? -errno : 0;
}

static void spin_ms(unsigned int ms)
{
	uint64_t end = now_ns() + ms * NSEC_PER_MSEC;

	while (now_ns() < end)
		;
}

#define NR_CHAIN	30
#define CHAIN_MS	95

/* A task on LOAD_CPU that sleeps for @ms, then spins for ever. */
static pid_t start_sleeper_then_hog(const char *name, unsigned int ms, uint64_t slice_ns)
{
	struct attr attr = { .size = sizeof(attr), .runtime = slice_ns };
	pid_t pid = fork();
	cpu_set_t set;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
	CPU_ZERO(&set);
	CPU_SET(LOAD_CPU, &set);
	if (sched_setaffinity(0, sizeof(set), &set) || set_attr(&attr))
		_exit(1);
	sleep_ms(ms);
	for (;;)
		;
}

/*
 * What a hog has of the time in which a chain of tasks wakes next to it, one every 95 ms;
 * all with slices near 100 ms, each a bit shorter than those before, if @slices.
 */
static uint64_t hog_time_next_to_chain(bool slices)
{
	pid_t hog, chain[NR_CHAIN];
	uint64_t ns;
	int i;

	hog = start_sleeper_then_hog("hog", 0, slices ? LONGEST_NS : 0);
	sleep_ms(1500);
	for (i = 0; i < NR_CHAIN; i++)
		chain[i] = start_sleeper_then_hog("chain", 100 + i * CHAIN_MS, slices ?
						  LONGEST_NS - (i + 1) * LONGEST_NS / 1000 : 0);
	sleep_ms(100);
	ns = cpu_time_ns(hog);
	sleep_ms(NR_CHAIN * CHAIN_MS);
	ns = cpu_time_ns(hog) - ns;
	kill(hog, SIGKILL);
	waitpid(hog, NULL, 0);
	for (i = 0; i < NR_CHAIN; i++) {
		kill(chain[i], SIGKILL);
		waitpid(chain[i], NULL, 0);
	}
	return ns;
}

/* EEVDF's bound: a slice and a tick less than its share, with custom slices or a policy's. */
TEST_F_TIMEOUT(cases, chain_of_wakeups_is_bounded, 300)
{
	uint64_t base, custom, policy;

	base = hog_time_next_to_chain(false);
	custom = hog_time_next_to_chain(true);
	self->link = attach_root(self->skel->maps.chain);
	ASSERT_NE(NULL, self->link);
	policy = hog_time_next_to_chain(false);
	TH_LOG("the hog ran for %lu ms by default, %lu with custom slices, %lu with the policy",
	       base / NSEC_PER_MSEC, custom / NSEC_PER_MSEC, policy / NSEC_PER_MSEC);
	EXPECT_GE(custom + LONGEST_NS + TICK_NS, base);
	EXPECT_GE(policy + LONGEST_NS + TICK_NS, base);
}

/* Run @fn in a child, whose exit status is the number of a step that failed. */
#define EXPECT_CHILD(fn) ({							\
	pid_t pid = fork();							\
	int status;								\
										\
	if (!pid)								\
		_exit(fn);							\
	ASSERT_EQ(pid, waitpid(pid, &status, 0));				\
	ASSERT_TRUE(WIFEXITED(status));						\
	EXPECT_EQ(0, WEXITSTATUS(status));					\
})

static int get_and_set(uint64_t own_ns)
{
	struct attr attr = { .size = sizeof(attr), .runtime = own_ns };

	if (own_ns && set_attr(&attr))
		return 1;
	/* Begin slices at a wakeup and at the end of a slice. */
	sleep_ms(20);
	spin_ms(250);
	if (get_attr(&attr))
		return 2;
	if (attr.runtime != own_ns)
		return 3;
	/* As renice(1) does. */
	attr.nice++;
	if (set_attr(&attr))
		return 4;
	spin_ms(20);
	if (get_attr(&attr))
		return 5;
	return attr.runtime == own_ns ? 0 : 6;
}

TEST_F_TIMEOUT(cases, getattr_has_custom_slice_only, 60)
{
	EXPECT_CHILD(get_and_set(0));
	self->link = attach_root(self->skel->maps.slices);
	ASSERT_NE(NULL, self->link);
	EXPECT_CHILD(get_and_set(0));
	EXPECT_CHILD(get_and_set(5 * NSEC_PER_MSEC));
}

#define NR_WRITES	60

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median time of work on each CPU by kworkers. */
static uint64_t kworker_ns(void)
{
	uint64_t ns[NR_WRITES];
	int i;

	for (i = 0; i < NR_WRITES; i++) {
		ns[i] = now_ns();
		if (write_file("/proc/sys/vm/stat_refresh", "1"))
			return 0;
		ns[i] = now_ns() - ns[i];
		sleep_ms(5);
	}
	qsort(ns, NR_WRITES, sizeof(*ns), compare);
	return ns[NR_WRITES / 2];
}

/* A policy that protects a task on each CPU does not make kworkers wait. */
TEST_F_TIMEOUT(cases, kworkers_do_not_wait, 120)
{
	const struct sched_param fifo = { .sched_priority = 1 };
	const struct load_attr attrs[2] = {
		{ .kind = HOG, .cgroup = self->cgroup, .on_test_cpu = true },
		{ .kind = HOG, .cgroup = self->cgroup },
	};
	struct load hogs[2] = {};
	uint64_t base, with;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attrs[i]));
	/* No policy decides when this process runs. */
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &fifo));
	base = kworker_ns();
	self->link = attach_to(self->skel->maps.protect, self->cgroup);
	ASSERT_NE(NULL, self->link);
	with = kworker_ns();
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
	TH_LOG("median %lu us by default, %lu with the policy", base / 1000, with / 1000);
	ASSERT_NE(0, base);
	ASSERT_NE(0, with);
	EXPECT_LE(with, 2 * base > 2 * NSEC_PER_MSEC ? 2 * base : 2 * NSEC_PER_MSEC);
}

enum { DETACHED, DISABLED, SHADOW, EMPTY_CGROUP, NR_STATES };
static const char * const state_names[] = { "detached", "disabled", "shadow", "empty cgroup" };

#define NR_SAMPLES	4
#define SAMPLE_MS	2000

struct sample {
	double ms, switches;	/* of the task that is reniced */
};

/* Let one of three hogs with long slices be reniced every 20 ms, and a batch task wake. */
static struct sample run_sample(const struct load *loads)
{
	struct sample s = { cpu_time_ns(loads[0].pid), switches(loads[0].pid) };
	int i;

	for (i = 0; i < SAMPLE_MS / 20; i++) {
		setpriority(PRIO_PROCESS, loads[0].pid, i % 2);
		sleep_ms(20);
	}
	s.ms = (cpu_time_ns(loads[0].pid) - s.ms) / NSEC_PER_MSEC;
	s.switches = switches(loads[0].pid) - s.switches;
	return s;
}

static double mean(const double *x)
{
	double sum = 0;
	int i;

	for (i = 0; i < NR_SAMPLES; i++)
		sum += x[i];
	return sum / NR_SAMPLES;
}

/* The square of the standard error of the mean. */
static double error_squared(const double *x)
{
	double sum = 0;
	int i;

	for (i = 0; i < NR_SAMPLES; i++)
		sum += (x[i] - mean(x)) * (x[i] - mean(x));
	return sum / (NR_SAMPLES - 1) / NR_SAMPLES;
}

/* Do the means differ by more than three standard errors and @least? */
static bool differ(const double *x, const double *y, double least)
{
	double d = mean(x) - mean(y);

	if (d < least && d > -least)
		return false;
	return d * d > 9 * (error_squared(x) + error_squared(y));
}

/* Return the states in which the load runs other than detached, as a mask. */
static int find_effects(struct __test_metadata *_metadata, FIXTURE_DATA(cases) *self,
			const struct load *loads)
{
	double ms[NR_STATES][NR_SAMPLES], switches[NR_STATES][NR_SAMPLES];
	int state, i, effects = 0;

	for (i = 0; i < NR_SAMPLES; i++) {
		for (state = 0; state < NR_STATES; state++) {
			struct bpf_link *link = NULL;
			struct sample s;

			if (state == DISABLED)
				ASSERT_EQ(0, set_knob("enabled", 0));
			if (state == EMPTY_CGROUP)
				link = attach_to(self->skel->maps.slices, self->cgroup);
			else if (state != DETACHED)
				link = attach_root(state == SHADOW ?
						   self->skel->maps.shadow_slices :
						   self->skel->maps.slices);
			ASSERT_EQ(state == DETACHED, !link);
			sleep_ms(300);
			s = run_sample(loads);
			ms[state][i] = s.ms;
			switches[state][i] = s.switches;
			bpf_link__destroy(link);
			ASSERT_EQ(0, set_knob("enabled", 1));
		}
	}
	for (state = 0; state < NR_STATES; state++) {
		TH_LOG("%s: %.1f ms, %.1f switches", state_names[state], mean(ms[state]),
		       mean(switches[state]));
		if (differ(ms[state], ms[DETACHED], 1) ||
		    differ(switches[state], switches[DETACHED], 1))
			effects |= 1 << state;
	}
	return effects;
}

/*
 * Tasks run as without a policy while it is disabled, in shadow mode, or attached to another
 * cgroup. An effect is one that is found twice.
 */
TEST_F_TIMEOUT(cases, inert, 600)
{
	const struct load_attr hog = { .kind = HOG, .slice_ns = LONGEST_NS };
	const struct load_attr batch = {
		.kind = SLEEPER, .policy = SCHED_BATCH, .work_ns = 10000,
		.sleep_ns = 4 * NSEC_PER_MSEC,
	};
	struct load loads[4] = {};
	int i, effects;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, load_start(&loads[i], i < 3 ? &hog : &batch));
	sleep_ms(1000);
	effects = find_effects(_metadata, self, loads);
	if (effects)
		effects &= find_effects(_metadata, self, loads);
	for (i = 0; i < 4; i++)
		load_stop(&loads[i]);
	EXPECT_EQ(0, effects);
}

TEST_HARNESS_MAIN
