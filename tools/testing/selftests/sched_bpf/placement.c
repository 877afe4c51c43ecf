// SPDX-License-Identifier: GPL-2.0
/*
 * Where tasks are placed, by the answers of policies: each answer has the effect that
 * it names, what must not be is overruled and counted, and whatever they answer no CPU is
 * idle for long beside a task that may run there.
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

#define PHASE_MS	1000
#define SELECT		"cfs_select_cpu"
#define MIGRATE		"cfs_can_migrate"
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu1/online"
#define MIGRATION_COST	"/sys/kernel/debug/sched/migration_cost_ns"

/* BPF_SCHED_CPU_0, see enum bpf_sched_verdict. */
#define ON_CPU(cpu)	(1 + (cpu))

#define MAX_LOADS	6

/* That of the VM's CPUs has its cache. */
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
	self->skel->bss->looked_at[1] = LOAD_CPU;
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
	self->link = bpf_map__attach_struct_ops(self->skel->maps.table);	\
	ASSERT_NE(NULL, self->link);						\
})

#define detach() ({								\
	bpf_link__destroy(self->link);						\
	self->link = NULL;							\
})

/*
 * For what the kernel does when it comes to it: until @cond, in phases, and for ten seconds if
 * that never comes, which is for the test to find.
 */
#define wait_until(cond) ({							\
	int phase = 0;								\
										\
	do {									\
		sleep_ms(PHASE_MS);						\
	} while (!(cond) && ++phase < 10);					\
})

/* What part of the wakeups in a phase were on LOAD_CPU, in percent. */
static int on_load_cpu(struct placement *skel)
{
	uint64_t n[2], begin[2] = { skel->bss->woken_on[0], skel->bss->woken_on[1] };

	sleep_ms(PHASE_MS);
	n[0] = skel->bss->woken_on[0] - begin[0];
	n[1] = skel->bss->woken_on[1] - begin[1];
	return n[0] + n[1] ? 100 * n[1] / (n[0] + n[1]) : -1;
}

/* A task wakes up where the policy says, though it ran elsewhere, for as long as it does. */
TEST_F(placement, named_cpu)
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
	EXPECT_EQ(0, c.overruled);
	EXPECT_EQ(0, self->skel->bss->queued);

	/* What the fair class chose is what it is told. */
	self->skel->bss->select_answer = 0;
	sleep_ms(50);
	for (i = 0; i < 2; i++)
		before[i] = self->skel->bss->stock[i] - self->skel->bss->woken_on[i];
	sleep_ms(PHASE_MS);
	for (i = 0; i < 2; i++)
		EXPECT_LE(labs((long)(self->skel->bss->stock[i] - self->skel->bss->woken_on[i] -
				      before[i])), 10);
}

/* New tasks and those that call execve() are asked about, and put there. */
TEST_F(placement, fork_and_exec)
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

			/* Here already; and so is what it becomes, unless it is moved. */
			if (sched_getcpu() != on)
				_exit(1);
			self->skel->bss->select_answer = ON_CPU(!on);
			execl("/proc/self/exe", "placement", "--where", cpu, NULL);
			_exit(2);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		wrong += !WIFEXITED(status) || WEXITSTATUS(status) != !on + 10;
	}

	TH_LOG("%d of 100 elsewhere; asked about %llu new ones and %llu execve()", wrong,
	       self->skel->bss->forks, self->skel->bss->execs);
	/* The balancer may move one meanwhile. */
	EXPECT_LE(wrong, 10);
	EXPECT_GE(self->skel->bss->forks, 100);
	/* One that was moved before it looked does not call execve(). */
	EXPECT_GE(self->skel->bss->execs + wrong, 100);
}

/* Says where it is, for the test above. */
static __attribute__((constructor)) void where(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--where"))
		_exit(10 + sched_getcpu());
}

/* CPUs that it must not be on, and numbers of none. */
TEST_F(placement, overruled)
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
		EXPECT_GT(c.overruled_cpu, before.overruled_cpu);
		EXPECT_EQ(c.overruled, c.overruled_cpu);
		before = c;
	}

	/* It may run on one CPU only, so there is nothing to ask. */
	self->skel->bss->select_answer = ON_CPU(TEST_CPU);
	ASSERT_EQ(0, load_move_to_cpu(sleeper, LOAD_CPU));
	sleep_ms(PHASE_MS / 10);
	before.calls = self->skel->bss->selects;
	EXPECT_GE(on_load_cpu(self->skel), 95);
	EXPECT_EQ(before.calls, self->skel->bss->selects);
}

/* A CPU that is gone, though its number is in the mask of the task. */
TEST_F(placement, offline_cpu)
{
	struct counters c;

	if (access(CPU_ONLINE, W_OK))
		SKIP(return, "CPUs cannot be put offline");
	start(.kind = SLEEPER, .on_both = true);
	/* Or it may be on one CPU only, and is not asked about. */
	self->skel->bss->select_answer = ON_CPU(LOAD_CPU);
	attach(only_select);
	ASSERT_EQ(0, write_file(CPU_ONLINE, "0"));
	EXPECT_EQ(0, on_load_cpu(self->skel));
	ASSERT_EQ(0, read_counters("place_select", SELECT, &c));
	EXPECT_GT(c.overruled_cpu, 0);
	ASSERT_EQ(0, write_file(CPU_ONLINE, "1"));
	EXPECT_GE(on_load_cpu(self->skel), 95);
}

/* One that the task may run on, but that is no concern of the balancer. */
TEST_F(placement, isolated_cpu)
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
	EXPECT_GT(c.overruled_cpu, 100);
	EXPECT_NE(2, cpu_of(load->pid));
}

/* One that a cpuset took from it, and gave back, while the policy went on naming it. */
TEST_F(placement, cpuset)
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
		/* Two at least, or it is not asked about. */
		ASSERT_EQ(0, write_file(cpus, "0-1"));
		EXPECT_GE(on_load_cpu(self->skel), 95);
		ASSERT_EQ(0, read_counters("place_select", SELECT, &before));
		ASSERT_EQ(0, write_file(cpus, "0"));
		EXPECT_EQ(0, on_load_cpu(self->skel));
	}
	EXPECT_EQ(0, before.overruled);

	/* And while that changes all the time: each wakeup is where the kernel lets it be. */
	for (i = 0; i < 500; i++)
		ASSERT_EQ(0, write_file(cpus, i % 2 ? "0-1" : "1"));
	EXPECT_GE(on_load_cpu(self->skel), 95);
	ASSERT_EQ(0, read_counters("place_select", SELECT, &c));
	EXPECT_EQ(c.overruled, c.overruled_cpu);
}

/*
 * To a core that runs a task of another cookie, though the policy says so: the two would take
 * turns there. CPUs 2 and 3 are such a core, and 2 of it is idle.
 */
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
		TH_LOG("%s cookies: %lu answers, %lu overruled", cookies ? "with" : "without",
		       c.positive, c.overruled);
		EXPECT_GT(c.positive, 0);
		EXPECT_EQ(cookies, c.overruled_cpu > 0);
		EXPECT_EQ(c.overruled, c.overruled_cpu);
	}
}

/* Two hogs are on LOAD_CPU, which both may leave: after how long is one elsewhere, in ms? */
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

/* A refusal holds for a while; the balancer has the last word. */
TEST_F_TIMEOUT(placement, stay, 120)
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

	TH_LOG("moved after %lu ms, %lu at most; after %lu, %lu at most, if it is to stay",
	       stock / REPEATS, most[0], kept / REPEATS, most[1]);
	EXPECT_GT(self->skel->bss->moves[LOAD_CPU][TEST_CPU], REPEATS);
	EXPECT_EQ(c.overruled, c.overruled_balance);
	EXPECT_GT(c.negative, c.overruled_balance);
	EXPECT_GT(c.overruled_balance, 0);
	EXPECT_LT(most[1], most[0] + 200);
}

/* Where the kernel takes all for cache-hot, a policy need not. */
TEST_F_TIMEOUT(placement, migrate, 60)
{
	unsigned long stock = 0, moved = 0;
	struct counters c;
	int i;

	/* (unsigned int)-1, which means that. */
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
	EXPECT_EQ(0, c.overruled);
	if (package_of(TEST_CPU) == package_of(LOAD_CPU))
		SKIP(return, "nothing is cache-hot where CPUs share all caches");
	EXPECT_GT(self->skel->bss->hots, 0);
	EXPECT_LT(moved, stock);
}

/* Asked and counted, and nothing is different: it wakes up where the policy did not say. */
TEST_F(placement, shadow)
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

		TH_LOG("CPU %d: %lu wakeups elsewhere, %lu answers differ", i, elsewhere, differ);
		EXPECT_GT(c.calls, before.calls + 50);
		EXPECT_LE(differ, elsewhere + 10);
		EXPECT_LE(elsewhere, differ + 10);
	}

	/* Never where it was, that is where it remains. */
	self->skel->bss->place = OTHER;
	sleep_ms(PHASE_MS);
	before = c;
	ASSERT_EQ(0, read_counters("place_shadow", SELECT, &c));
	EXPECT_GT(c.differ - before.differ, 100);
	EXPECT_EQ(0, c.overruled);
}

/* The node of a CPU, by sysfs; 0 if the kernel has no NUMA. */
static int node_of(int cpu)
{
	char path[64];
	int node;

	for (node = 0; node < 64; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
		if (!access(path, F_OK))
			return node;
	}
	return 0;
}

/* What is said of CPUs is what is known from elsewhere. */
TEST_F(placement, cpus)
{
	struct cpu_view views[2], v;
	int i;

	for (i = 0; i < 3; i++)
		start(.kind = HOG);
	start(.kind = SLEEPER, .on_both = true);
	self->skel->bss->select_answer = ON_CPU(TEST_CPU);
	attach(only_select);
	/* A kernel thread may have a turn just when one looks, on the idle CPU or beside hogs. */
	wait_until((memcpy(views, self->skel->bss->views, sizeof(views)), views[0].is_idle == 1) &&
		   !views[0].nr_runnable && views[1].nr_runnable == 3);

	v = views[0];
	EXPECT_EQ(1, v.is_idle);
	EXPECT_EQ(0, v.nr_runnable);
	v = views[1];
	EXPECT_EQ(0, v.is_idle);
	EXPECT_EQ(3, v.nr_runnable);
	EXPECT_EQ(node_of(LOAD_CPU), v.node);
	EXPECT_GT(v.capacity, 0);
	EXPECT_LE(v.capacity, 1024);
	EXPECT_EQ(package_of(TEST_CPU) == package_of(LOAD_CPU), v.share_cache);
	TH_LOG("capacity %d, node %d, cache shared %d", v.capacity, v.node, v.share_cache);

	/* There is none of this number. */
	self->skel->bss->looked_at[1] = 4096;
	sleep_ms(PHASE_MS / 10);
	v = self->skel->bss->views[1];
	EXPECT_EQ(-EINVAL, v.is_idle);
	EXPECT_EQ(-EINVAL, v.nr_runnable);
	EXPECT_EQ(-EINVAL, v.capacity);
	EXPECT_EQ(-EINVAL, v.node);
	EXPECT_EQ(-EINVAL, v.share_cache);
}

#define NR_HOGS		3

struct had {
	uint64_t all, least;	/* of the tasks, of the hog that had least; ns */
};

/* What the loads, the first of which are hogs, have of the next two seconds. */
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

/*
 * Both CPUs have work all the time, of hogs and sleepers, whatever policies say of where
 * it is to be done; and no hog has much less than without one.
 */
TEST_F_TIMEOUT(placement, no_idle_cpu, 60)
{
	static const struct {
		const char *name;
		enum place place;
		int select_answer, migrate_answer;
	} hostile[] = {
		{ "all on one CPU", NAMED, ON_CPU(LOAD_CPU), -1 },
		{ "never where it was", OTHER, 0, -1 },
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
	TH_LOG("stock: %lu ms, least of a hog %lu", stock.all / NSEC_PER_MSEC,
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
