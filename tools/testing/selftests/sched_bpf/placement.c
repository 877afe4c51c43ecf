// SPDX-License-Identifier: GPL-2.0
/*
 * The placement hooks: each return value has its effect or is rejected and counted, and
 * whatever policies return no CPU is idle for long while a task waits that may run there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "progs/placement.h"
#include "placement.skel.h"
#include "lib.h"
#include "policy.h"

#define PHASE_MS	1000
#define SELECT		"cfs_select_cpu"
#define MIGRATE		"cfs_can_migrate"
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu1/online"
#define MIGRATION_COST	"/sys/kernel/debug/sched/migration_cost_ns"

/* BPF_SCHED_CPU_0 + cpu */
#define ON_CPU(cpu)	(1 + (cpu))

#define MAX_LOADS	6

/* In the virtual machine a package has one cache. */
static int package_of(int cpu)
{
	char path[80], package[16] = "-1";

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/physical_package_id",
		 cpu);
	read_file(path, package, sizeof(package));
	return atoi(package);
}

FIXTURE(placement) {
	struct placement *skel;
	struct bpf_link *link;
	struct load loads[MAX_LOADS];
	int nr_loads;
	char migration_cost[32];
	char cgroup[80];
};

FIXTURE_SETUP(placement)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, read_file(MIGRATION_COST, self->migration_cost,
			       sizeof(self->migration_cost)));
	self->skel = placement__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->parent_tgid = getpid();
	self->skel->links.note_wakee = bpf_program__attach(self->skel->progs.note_wakee);
	ASSERT_NE(NULL, self->skel->links.note_wakee);
	self->skel->links.note_new = bpf_program__attach(self->skel->progs.note_new);
	ASSERT_NE(NULL, self->skel->links.note_new);
}

FIXTURE_TEARDOWN(placement)
{
	int i;

	for (i = 0; i < self->nr_loads; i++)
		load_stop(&self->loads[i]);
	if (self->cgroup[0])
		cgroup_remove(self->cgroup);
	bpf_link__destroy(self->link);
	placement__destroy(self->skel);
	write_file(MIGRATION_COST, self->migration_cost);
	write_file(CPU_ONLINE, "1");
}

#define start(...) ({								\
	const struct load_attr attr = { __VA_ARGS__ };				\
	struct load *started = &self->loads[self->nr_loads];			\
										\
	ASSERT_LT(self->nr_loads, MAX_LOADS);					\
	ASSERT_EQ(0, load_start(started, &attr));				\
	self->nr_loads++;							\
	started;								\
})

#define attach(table) ({							\
	self->link = attach_root(self->skel->maps.table);	\
	ASSERT_NE(NULL, self->link);						\
})

#define detach() ({								\
	bpf_link__destroy(self->link);						\
	self->link = NULL;							\
})

/* Wait for @cond, ten phases at most. */
#define wait_until(cond) ({							\
	int phase = 0;								\
										\
	do {									\
		sleep_ms(PHASE_MS);						\
	} while (!(cond) && ++phase < 10);					\
})

/* The percentage of wakeups on LOAD_CPU in a phase. */
static int on_load_cpu(struct placement *skel)
{
	uint64_t n[2], begin[2] = { skel->bss->woken_on[0], skel->bss->woken_on[1] };

	sleep_ms(PHASE_MS);
	n[0] = skel->bss->woken_on[0] - begin[0];
	n[1] = skel->bss->woken_on[1] - begin[1];
	return n[0] + n[1] ? 100 * n[1] / (n[0] + n[1]) : -1;
}

TEST_F(placement, select_moves_wakee)
{
	struct counters c;
	int64_t before[2];
	int part, i;

	start(.kind = SLEEPER, .on_both = true);
	self->skel->bss->select_answer = ON_CPU(TEST_CPU);
	attach(only_select);
	part = on_load_cpu(self->skel);
	EXPECT_GE(part, 0);
	EXPECT_LE(part, 5);
	self->skel->bss->select_answer = ON_CPU(LOAD_CPU);
	part = on_load_cpu(self->skel);
	EXPECT_GE(part, 95);
	ASSERT_EQ(0, read_counters("place_select", SELECT, &c));
	EXPECT_GT(c.positive, 0);
	EXPECT_EQ(0, c.rejected);
	EXPECT_EQ(0, self->skel->bss->queued);

	/* With 0 a wakeup is on the CPU that the hook was passed. */
	self->skel->bss->select_answer = 0;
	sleep_ms(50);
	for (i = 0; i < 2; i++)
		before[i] = self->skel->bss->stock[i] - self->skel->bss->woken_on[i];
	sleep_ms(PHASE_MS);
	for (i = 0; i < 2; i++)
		EXPECT_LE(labs((long)(self->skel->bss->stock[i] - self->skel->bss->woken_on[i] -
				      before[i])), 10);
}

TEST_F(placement, select_at_fork_and_exec)
{
	int i, pid, on, status, wrong = 0;

	attach(only_select);
	ASSERT_EQ(0, load_move_to_both(&(struct load){ .pid = getpid() }));
	for (i = 0; i < 100; i++) {
		on = i % 2;
		self->skel->bss->select_answer = ON_CPU(on);
		pid = fork();
		if (!pid) {
			char cpu[2] = { '0' + on };

			if (sched_getcpu() != on)
				_exit(1);
			self->skel->bss->select_answer = ON_CPU(!on);
			execl("/proc/self/exe", "placement", "--where", cpu, NULL);
			_exit(2);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		wrong += !WIFEXITED(status) || WEXITSTATUS(status) != !on + 10;
	}

	TH_LOG("%d of 100 elsewhere; calls for %llu forks and %llu execs", wrong,
	       self->skel->bss->forks, self->skel->bss->execs);
	/* The balancer may move some meanwhile: seen up to 11, and 50 without the hook. */
	EXPECT_LE(wrong, 30);
	EXPECT_GE(self->skel->bss->forks, 100);
	EXPECT_GE(self->skel->bss->execs + wrong, 100);
}

/* Exit with the CPU, for the test above. */
static __attribute__((constructor)) void where(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--where"))
		_exit(10 + sched_getcpu());
}

TEST_F(placement, forbidden_cpu_rejected)
{
	static const int answers[] = { -1, -4095, -0x7fffffff - 1, ON_CPU(2), ON_CPU(4096),
				       0x7fffffff };
	struct counters c, before = {};
	struct load *sleeper;
	unsigned int i;

	sleeper = start(.kind = SLEEPER, .on_both = true);
	attach(only_select);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		self->skel->bss->select_answer = answers[i];
		sleep_ms(PHASE_MS / 4);
		ASSERT_EQ(0, read_counters("place_select", SELECT, &c));
		EXPECT_GT(c.rejected_cpu, before.rejected_cpu);
		EXPECT_EQ(c.rejected, c.rejected_cpu);
		before = c;
	}

	/* Not called for a task with one CPU. */
	self->skel->bss->select_answer = ON_CPU(TEST_CPU);
	ASSERT_EQ(0, load_move_to_cpu(sleeper, LOAD_CPU));
	sleep_ms(PHASE_MS / 10);
	before.calls = self->skel->bss->selects;
	EXPECT_GE(on_load_cpu(self->skel), 95);
	EXPECT_EQ(before.calls, self->skel->bss->selects);
}

TEST_F(placement, offline_cpu_rejected)
{
	struct counters c;

	if (access(CPU_ONLINE, W_OK))
		SKIP(return, "CPUs cannot be put offline");
	start(.kind = SLEEPER, .on_both = true);
	self->skel->bss->select_answer = ON_CPU(LOAD_CPU);
	attach(only_select);
	ASSERT_EQ(0, write_file(CPU_ONLINE, "0"));
	EXPECT_EQ(0, on_load_cpu(self->skel));
	ASSERT_EQ(0, read_counters("place_select", SELECT, &c));
	EXPECT_GT(c.rejected_cpu, 0);
	ASSERT_EQ(0, write_file(CPU_ONLINE, "1"));
	EXPECT_GE(on_load_cpu(self->skel), 95);
}

TEST_F(placement, isolated_cpu_rejected)
{
	char isolated[16] = "";
	struct counters c;
	struct load *load;
	cpu_set_t set;

	read_file("/sys/devices/system/cpu/isolated", isolated, sizeof(isolated));
	if (atoi(isolated) != 2)
		SKIP(return, "CPU 2 is not isolated, by isolcpus=domain,2");
	load = start(.kind = SLEEPER, .on_both = true);
	CPU_ZERO(&set);
	CPU_SET(TEST_CPU, &set);
	CPU_SET(LOAD_CPU, &set);
	CPU_SET(2, &set);
	ASSERT_EQ(0, sched_setaffinity(load->pid, sizeof(set), &set));
	self->skel->bss->select_answer = ON_CPU(2);
	attach(only_select);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("place_select", SELECT, &c));
	EXPECT_GT(c.rejected_cpu, 100);
	EXPECT_NE(2, cpu_of(load->pid));
}

/* The policy returns one CPU while a cpuset takes it from the task and gives it back. */
TEST_F(placement, cpuset_is_kept)
{
	struct counters c, before;
	char cpus[120];
	int i;

	ASSERT_EQ(0, write_file(CGROUP_CONTROL, "+cpuset"));
	ASSERT_EQ(0, cgroup_make(NULL, "cpuset", self->cgroup, sizeof(self->cgroup)));
	snprintf(cpus, sizeof(cpus), "%s/cpuset.cpus", self->cgroup);
	start(.kind = SLEEPER, .on_both = true, .cgroup = self->cgroup);
	self->skel->bss->select_answer = ON_CPU(LOAD_CPU);
	attach(only_select);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, write_file(cpus, "0-1"));
		EXPECT_GE(on_load_cpu(self->skel), 95);
		ASSERT_EQ(0, read_counters("place_select", SELECT, &before));
		ASSERT_EQ(0, write_file(cpus, "0"));
		EXPECT_EQ(0, on_load_cpu(self->skel));
	}
	EXPECT_EQ(0, before.rejected);

	/* The cpuset changes all the time. */
	for (i = 0; i < 500; i++)
		ASSERT_EQ(0, write_file(cpus, i % 2 ? "0-1" : "1"));
	EXPECT_GE(on_load_cpu(self->skel), 95);
	ASSERT_EQ(0, read_counters("place_select", SELECT, &c));
	EXPECT_EQ(c.rejected, c.rejected_cpu);
}

/* A task is not moved to a core that runs another cookie. CPUs 2 and 3 are that core. */
TEST_F(placement, core_cookie)
{
	struct load *hogs[4];
	struct counters c;
	cpu_set_t set;
	int cookies, i;

	if (sysconf(_SC_NPROCESSORS_ONLN) != 4 || package_of(2) == package_of(LOAD_CPU))
		SKIP(return, "CPUs 2 and 3 are not a core of another package");
	for (i = 0; i < 4; i++)
		hogs[i] = start(.kind = HOG);
	ASSERT_EQ(0, load_move_to_cpu(hogs[2], 3));
	ASSERT_EQ(0, load_move_to_cpu(hogs[3], TEST_CPU));
	self->skel->bss->migrate_answer = 1;

	for (cookies = 0; cookies < 2; cookies++) {
		for (i = 0; cookies && i < 3; i++)
			ASSERT_EQ(0, load_make_cookie(hogs[i]));
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, load_move_to_cpu(hogs[i], LOAD_CPU));
		attach(only_migrate);
		CPU_ZERO(&set);
		CPU_SET(LOAD_CPU, &set);
		CPU_SET(2, &set);
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, sched_setaffinity(hogs[i]->pid, sizeof(set), &set));
		/* A balancer that found nothing to move waits longer each time. */
		wait_until(read_counters("place_migrate", MIGRATE, &c) || c.positive);
		ASSERT_EQ(0, read_counters("place_migrate", MIGRATE, &c));
		detach();
		TH_LOG("%s cookies: %lu results, %lu rejected", cookies ? "with" : "without",
		       c.positive, c.rejected);
		EXPECT_GT(c.positive, 0);
		EXPECT_EQ(cookies, c.rejected_cpu > 0);
		EXPECT_EQ(c.rejected, c.rejected_cpu);
	}
}

/* Milliseconds until one of two hogs on LOAD_CPU is moved. */
#define ms_until_moved() ({							\
	struct load *one = start(.kind = HOG), *other = start(.kind = HOG);	\
	uint64_t begin;								\
										\
	sleep_ms(50);								\
	ASSERT_EQ(0, load_move_to_both(one));					\
	ASSERT_EQ(0, load_move_to_both(other));					\
	begin = now_ns();							\
	while (cpu_of(one->pid) == cpu_of(other->pid) &&			\
	       now_ns() - begin < 5 * NSEC_PER_SEC)				\
		usleep(500);							\
	begin = now_ns() - begin;						\
	load_stop(one);								\
	load_stop(other);							\
	self->nr_loads -= 2;							\
	(unsigned long)(begin / NSEC_PER_MSEC);					\
})

#define REPEATS	20

/* The balancer moves a task in the end, though the policy returns -1. */
TEST_F_TIMEOUT(placement, stay_is_bounded, 120)
{
	unsigned long ms, stock = 0, kept = 0, most[2] = {};
	struct counters c;
	int i;

	for (i = 0; i < REPEATS; i++) {
		ms = ms_until_moved();
		stock += ms;
		most[0] = ms > most[0] ? ms : most[0];
	}
	self->skel->bss->migrate_answer = -1;
	attach(only_migrate);
	for (i = 0; i < REPEATS; i++) {
		ms = ms_until_moved();
		kept += ms;
		most[1] = ms > most[1] ? ms : most[1];
	}
	ASSERT_EQ(0, read_counters("place_migrate", MIGRATE, &c));

	TH_LOG("moved after %lu ms, %lu at most; after %lu, %lu at most, with -1",
	       stock / REPEATS, most[0], kept / REPEATS, most[1]);
	EXPECT_GT(self->skel->bss->moves[LOAD_CPU][TEST_CPU], REPEATS);
	EXPECT_EQ(c.rejected, c.rejected_balance);
	EXPECT_GT(c.negative, c.rejected_balance);
	EXPECT_GT(c.rejected_balance, 0);
	EXPECT_LT(most[1], most[0] + 200);
}

TEST_F_TIMEOUT(placement, migrate_overrides_cache_hot, 60)
{
	unsigned long stock = 0, moved = 0;
	struct counters c;
	int i;

	/* (unsigned int)-1: all tasks are cache-hot. */
	ASSERT_EQ(0, write_file(MIGRATION_COST, "4294967295"));
	for (i = 0; i < REPEATS; i++)
		stock += ms_until_moved();
	self->skel->bss->migrate_answer = 1;
	attach(only_migrate);
	for (i = 0; i < REPEATS; i++)
		moved += ms_until_moved();
	ASSERT_EQ(0, read_counters("place_migrate", MIGRATE, &c));

	TH_LOG("moved after %lu ms if all are hot, after %lu by the policy", stock / REPEATS,
	       moved / REPEATS);
	EXPECT_GT(c.positive, 0);
	EXPECT_EQ(0, c.rejected);
	if (package_of(TEST_CPU) == package_of(LOAD_CPU))
		SKIP(return, "nothing is cache-hot where CPUs share all caches");
	EXPECT_GT(self->skel->bss->hots, 0);
	EXPECT_LT(moved, stock);
}

TEST_F(placement, shadow_not_applied)
{
	uint64_t elsewhere, differ;
	struct counters c, before;
	int i;

	start(.kind = SLEEPER, .on_both = true);
	attach(shadow);
	for (i = 0; i < 2; i++) {
		self->skel->bss->select_answer = ON_CPU(i);
		sleep_ms(50);
		ASSERT_EQ(0, read_counters("place_shadow", SELECT, &before));
		elsewhere = self->skel->bss->woken_on[!i];
		sleep_ms(PHASE_MS);
		ASSERT_EQ(0, read_counters("place_shadow", SELECT, &c));
		elsewhere = self->skel->bss->woken_on[!i] - elsewhere;
		differ = c.differ - before.differ;

		TH_LOG("CPU %d: %lu wakeups elsewhere, %lu results differ", i, elsewhere, differ);
		EXPECT_GT(c.calls, before.calls + 50);
		EXPECT_LE(differ, elsewhere + 10);
		EXPECT_LE(elsewhere, differ + 10);
	}

	/* Never the previous CPU, where it remains. */
	self->skel->bss->place = OTHER;
	sleep_ms(PHASE_MS);
	before = c;
	ASSERT_EQ(0, read_counters("place_shadow", SELECT, &c));
	EXPECT_GT(c.differ - before.differ, 100);
	EXPECT_EQ(0, c.rejected);
}

#define NR_HOGS		3

struct had {
	uint64_t all, least;	/* ns of all tasks, of the hog that had least */
};

/* The time that the loads have of the next two seconds; hogs come first. */
static struct had had_in_two_seconds(const struct load *loads, int nr)
{
	uint64_t before[MAX_LOADS], ns;
	struct had had = { .least = UINT64_MAX };
	int i;

	for (i = 0; i < nr; i++)
		before[i] = cpu_time_ns(loads[i].pid);
	sleep_ms(2000);
	for (i = 0; i < nr; i++) {
		ns = cpu_time_ns(loads[i].pid) - before[i];
		had.all += ns;
		if (i < NR_HOGS && ns < had.least)
			had.least = ns;
	}
	return had;
}

/* Both CPUs have work all the time, and no hog has much less time than by default. */
TEST_F_TIMEOUT(placement, work_is_conserved, 60)
{
	static const struct {
		const char *name;
		enum place place;
		int select_answer, migrate_answer;
	} hostile[] = {
		{ "all on one CPU", NAMED, ON_CPU(LOAD_CPU), -1 },
		{ "never the previous CPU", OTHER, 0, -1 },
		{ "anywhere", ANY, 0, 0 },
		{ "move all", NAMED, 0, 1 },
		{ "move none", NAMED, 0, -1 },
	};
	struct had stock, with;
	unsigned int i;

	for (i = 0; i < NR_HOGS; i++)
		start(.kind = HOG, .on_both = true);
	start(.kind = SLEEPER, .on_both = true, .work_ns = 2 * NSEC_PER_MSEC);
	start(.kind = SLEEPER, .on_both = true, .work_ns = 2 * NSEC_PER_MSEC);
	sleep_ms(200);
	stock = had_in_two_seconds(self->loads, self->nr_loads);
	TH_LOG("default: %lu ms, least of a hog %lu", stock.all / NSEC_PER_MSEC,
	       stock.least / NSEC_PER_MSEC);

	for (i = 0; i < ARRAY_SIZE(hostile); i++) {
		self->skel->bss->place = hostile[i].place;
		self->skel->bss->select_answer = hostile[i].select_answer;
		self->skel->bss->migrate_answer = hostile[i].migrate_answer;
		attach(both);
		with = had_in_two_seconds(self->loads, self->nr_loads);
		detach();
		TH_LOG("%s: %lu ms, least of a hog %lu", hostile[i].name,
		       with.all / NSEC_PER_MSEC, with.least / NSEC_PER_MSEC);
		EXPECT_GT(with.all, stock.all * 9 / 10);
		EXPECT_GT(with.least, stock.least / 2);
	}
}

TEST_HARNESS_MAIN
