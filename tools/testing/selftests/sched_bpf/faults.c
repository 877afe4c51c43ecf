// SPDX-License-Identifier: GPL-2.0
/*
 * What goes wrong in practice, done on purpose and under load: everybody still has
 * turns, the counters add up, and what is detached is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "faults.skel.h"
#include "lib.h"

#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define TICK		"cfs_check_preempt_tick"
#define EXPEDITED	"/sys/kernel/rcu_expedited"
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu1/online"
#define MAX_POLICIES	64

FIXTURE(faults) {
	struct answer *first, *second;
	struct faults *bad;
	struct load loads[NR_MIXED_LOADS];
	char cgroups[2][128];
	char expedited[16];
	uint64_t max_slice_ns;
	pid_t stress[2];
};

FIXTURE_SETUP(faults)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice_ns = get_knob("max_slice_ns");
	self->first = answer__open_and_load();
	ASSERT_NE(NULL, self->first);
	self->second = answer__open_and_load();
	ASSERT_NE(NULL, self->second);
	self->bad = faults__open();
	ASSERT_NE(NULL, self->bad);
	ASSERT_EQ(0, cgroup_make(NULL, "a", self->cgroups[0], sizeof(self->cgroups[0])));
	ASSERT_EQ(0, cgroup_make(NULL, "b", self->cgroups[1], sizeof(self->cgroups[1])));
	ASSERT_EQ(0, read_file(EXPEDITED, self->expedited, sizeof(self->expedited)));
}

FIXTURE_TEARDOWN(faults)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (self->stress[i] > 0) {
			kill(-self->stress[i], SIGKILL);
			waitpid(self->stress[i], NULL, 0);
		}
	}
	for (i = 0; i < NR_MIXED_LOADS; i++)
		load_stop(&self->loads[i]);
	answer__destroy(self->first);
	answer__destroy(self->second);
	faults__destroy(self->bad);
	for (i = 0; i < 2; i++)
		cgroup_remove(self->cgroups[i]);
	write_file(EXPEDITED, self->expedited);
	write_file(CPU_ONLINE, "1");
	set_knob("enabled", 1);
	set_knob("max_slice_ns", self->max_slice_ns);
}

#define start_loads()		ASSERT_EQ(0, mixed_loads_start(self->loads))
#define EXPECT_PROGRESS()	EXPECT_EQ(0, mixed_loads_stuck(self->loads))

/*
 * The policy was asked, and each question got one answer. Questions stop for that,
 * as a sum over CPUs is not of one moment.
 */
#define EXPECT_CONSISTENT(policy, hook) ({					\
	struct counters sum;							\
										\
	ASSERT_EQ(0, set_knob("enabled", 0));					\
	sleep_ms(100);								\
	ASSERT_EQ(0, read_counters(policy, hook, &sum));			\
	ASSERT_EQ(0, set_knob("enabled", 1));					\
	EXPECT_GT(sum.calls, 0);						\
	EXPECT_EQ(sum.calls, sum.negative + sum.zero + sum.positive);		\
	sum;									\
})

static struct bpf_link *attach_to_cgroup(const struct bpf_map *map, const char *path)
{
	struct bpf_link *link;
	int fd;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	link = bpf_map__attach_cgroup_opts(map, fd, NULL);
	close(fd);
	return link;
}

TEST_F_TIMEOUT(faults, task_moves_while_asked, 600)
{
	struct counters before, after;
	struct bpf_link *link;
	int i, n;

	start_loads();
	self->first->bss->tick_answer = -1;
	self->first->bss->wakeup_answer = 1;
	link = attach_to_cgroup(self->first->maps.all_hooks, self->cgroups[0]);
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

	/* Who has left the cgroup is not asked about. */
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

TEST_F_TIMEOUT(faults, cgroup_removed_while_asked, 600)
{
	const struct load_attr other_attr = { .kind = HOG };
	struct load other = {};
	struct bpf_link *link;
	struct counters c;
	int i, asked = 0;
	char path[128];

	ASSERT_EQ(0, load_start(&other, &other_attr));
	self->first->bss->tick_answer = -1;
	for (i = 0; i < REMOVALS; i++) {
		const struct load_attr attr = { .kind = HOG, .cgroup = path };
		struct load load = {};

		ASSERT_EQ(0, cgroup_make(NULL, "removed", path, sizeof(path)));
		link = attach_to_cgroup(self->first->maps.only_tick, path);
		ASSERT_NE(NULL, link);
		ASSERT_EQ(0, load_start(&load, &attr));
		sleep_ms(5);
		asked += !read_counters("answer_tick", TICK, &c) && c.calls;
		load_stop(&load);
		cgroup_remove(path);
		/* With its cgroup or before, whoever comes first. */
		if (i % 2)
			EXPECT_TRUE(policy_gone("answer_tick"));
		bpf_link__destroy(link);
		EXPECT_NE(0, access(path, F_OK));
	}
	TH_LOG("asked in %d of %d cgroups", asked, REMOVALS);
	EXPECT_GT(asked, REMOVALS / 4);
	EXPECT_TRUE(policy_gone("answer_tick"));
	load_stop(&other);
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

TEST_F_TIMEOUT(faults, replaced_under_stress, 1500)
{
	const char *wanted = getenv("SCHED_BPF_REPLACEMENTS");
	int i, n = wanted ? atoi(wanted) : 10000;
	struct counters c;
	struct bpf_link *link;
	uint64_t start, calls;

	if (system("command -v stress-ng hackbench >/dev/null"))
		SKIP(return, "stress-ng and hackbench are needed");
	start_loads();
	/* Nice, as the threads of RCU, for which each replacement waits, are not urgent. */
	self->stress[0] = start_command("nice -n 19 stress-ng --temp-path /tmp --cpu 2 --switch 2");
	self->stress[1] = start_command("while nice -n 19 hackbench -p -g 1 -l 100; do :; done");
	self->first->bss->tick_answer = -1;
	self->first->bss->wakeup_answer = -1;
	self->second->bss->wakeup_answer = 1;
	link = bpf_map__attach_struct_ops(self->first->maps.all_hooks);
	ASSERT_NE(NULL, link);
	ASSERT_EQ(0, write_file(EXPEDITED, "1"));
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, -20));
	/* Who is kept must not hold up a grace period for long. */
	ASSERT_EQ(0, set_knob("max_slice_ns", NSEC_PER_MSEC));
	start = now_ns();
	for (i = 0; i < n; i += 2) {
		ASSERT_EQ(0, bpf_link__update_map(link, self->second->maps.only_wakeup));
		ASSERT_EQ(0, bpf_link__update_map(link, self->first->maps.all_hooks));
	}
	TH_LOG("%d replacements in %lu ms", i, (now_ns() - start) / NSEC_PER_MSEC);

	EXPECT_EQ(1, count_policies("answer_all", WAKEUP));
	EXPECT_EQ(0, count_policies("answer_wakeup", WAKEUP));
	c = EXPECT_CONSISTENT("answer_all", WAKEUP);
	calls = c.calls;
	EXPECT_GT(c.negative, 0);
	EXPECT_GT(c.positive, 0);
	EXPECT_CONSISTENT("answer_all", TICK);
	EXPECT_PROGRESS();
	c = EXPECT_CONSISTENT("answer_all", WAKEUP);
	EXPECT_GT(c.calls, calls);
	EXPECT_EQ(0, waitpid(self->stress[0], NULL, WNOHANG));
	EXPECT_EQ(0, waitpid(self->stress[1], NULL, WNOHANG));
	bpf_link__destroy(link);
	EXPECT_TRUE(policy_gone("answer_all"));
}

TEST_F(faults, loader_killed)
{
	pid_t loader;
	int fds[2];
	char ok = 0;

	start_loads();
	ASSERT_EQ(0, pipe(fds));
	loader = fork();
	if (!loader) {
		/* No opinion about wakeups: so that entities are compared too. */
		self->first->bss->tick_answer = -1;
		ok = bpf_map__attach_struct_ops(self->first->maps.only_tick) &&
		     bpf_map__attach_struct_ops(self->first->maps.only_wakeup) &&
		     bpf_map__attach_struct_ops(self->second->maps.all_hooks);
		if (write(fds[1], &ok, 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(fds[0], &ok, 1));
	ASSERT_TRUE(ok);
	EXPECT_PROGRESS();
	EXPECT_CONSISTENT("answer_tick", TICK);
	EXPECT_CONSISTENT("answer_wakeup", WAKEUP);
	EXPECT_CONSISTENT("answer_all", ENTITY);
	kill(loader, SIGKILL);
	ASSERT_EQ(loader, waitpid(loader, NULL, 0));
	EXPECT_TRUE(policy_gone("answer_tick"));
	EXPECT_TRUE(policy_gone("answer_wakeup"));
	EXPECT_TRUE(policy_gone("answer_all"));
	EXPECT_PROGRESS();
}

TEST_F(faults, map_is_full)
{
	struct counters wakeup, tick;
	struct bpf_link *link;

	ASSERT_EQ(0, faults__load(self->bad));
	start_loads();
	link = bpf_map__attach_struct_ops(self->bad->maps.full);
	ASSERT_NE(NULL, link);
	EXPECT_PROGRESS();
	wakeup = EXPECT_CONSISTENT("full", WAKEUP);
	tick = EXPECT_CONSISTENT("full", TICK);
	EXPECT_EQ(-E2BIG, self->bad->bss->failure);
	EXPECT_GT(wakeup.negative + tick.negative, 0);
	EXPECT_GT(wakeup.zero + tick.zero, 0);
	bpf_link__destroy(link);
	EXPECT_TRUE(policy_gone("full"));
}

/* As slow as the verifier allows: all have turns, until the kernel detaches it. */
TEST_F_TIMEOUT(faults, program_is_slow, 300)
{
	uint64_t rounds[NR_MIXED_LOADS], start;
	struct bpf_link *link;
	struct policy p;
	int n;

	bpf_map__set_autocreate(self->bad->maps.slow, true);
	bpf_program__set_autoload(self->bad->progs.slow_wakeup, true);
	bpf_program__set_autoload(self->bad->progs.slow_tick, true);
	start = now_ns();
	ASSERT_EQ(0, faults__load(self->bad));
	TH_LOG("loaded in %lu ms", (now_ns() - start) / NSEC_PER_MSEC);
	start_loads();
	for (n = 0; n < NR_MIXED_LOADS; n++)
		rounds[n] = self->loads[n].stats->rounds;
	start = now_ns();
	link = bpf_map__attach_struct_ops(self->bad->maps.slow);
	ASSERT_NE(NULL, link);
	while (!read_policy("slow", &p) && now_ns() - start < 60 * NSEC_PER_SEC)
		sleep_ms(20);
	TH_LOG("detached after %lu ms", (now_ns() - start) / NSEC_PER_MSEC);
	for (n = 0; n < NR_MIXED_LOADS; n++) {
		TH_LOG("load %d: %lu rounds", n, self->loads[n].stats->rounds - rounds[n]);
		EXPECT_GT(self->loads[n].stats->rounds, rounds[n]);
	}
	EXPECT_TRUE(policy_gone("slow"));
	EXPECT_PROGRESS();
	bpf_link__destroy(link);
}

FIXTURE(many) {
	struct answer *skel;
	struct bpf_link *links[MAX_POLICIES];
	struct load loads[MAX_POLICIES];
	uint64_t max_share;
	char cgroups[MAX_POLICIES][LONGEST_CGROUP];
};

/* Where the policies are attached to. */
FIXTURE_VARIANT(many) {
	bool cgroups;
	bool nested;
};

FIXTURE_VARIANT_ADD(many, system) {
};

FIXTURE_VARIANT_ADD(many, siblings) {
	.cgroups = true,
};

FIXTURE_VARIANT_ADD(many, nested) {
	.cgroups = true,
	.nested = true,
};

FIXTURE_SETUP(many)
{
	char name[16];
	int i;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	/* In a debug kernel each of them takes long. */
	self->max_share = get_knob("max_share");
	ASSERT_EQ(0, set_knob("max_share", 50));
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	for (i = 0; variant->cgroups && i < MAX_POLICIES; i++) {
		snprintf(name, sizeof(name), variant->nested ? "n" : "s%d", i);
		ASSERT_EQ(0, cgroup_make(variant->nested && i ? self->cgroups[i - 1] : NULL,
					 name, self->cgroups[i], sizeof(self->cgroups[i])));
	}
}

FIXTURE_TEARDOWN(many)
{
	int i;

	for (i = 0; i < MAX_POLICIES; i++)
		load_stop(&self->loads[i]);
	for (i = 0; i < MAX_POLICIES; i++)
		bpf_link__destroy(self->links[i]);
	for (i = MAX_POLICIES; i-- && self->cgroups[i][0]; )
		cgroup_remove(self->cgroups[i]);
	answer__destroy(self->skel);
	set_knob("max_share", self->max_share);
}

TEST_F_TIMEOUT(many, all_are_asked, 120)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = SLEEPER };
	int i, asked = 0, tries = 20;
	struct load hog = {};
	struct counters c;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	/* From the last one up: that is enough where it is inside of all others. */
	for (i = MAX_POLICIES; i-- > 0; ) {
		ASSERT_EQ(0, load_start(&self->loads[i], &attr));
		if (variant->cgroups)
			ASSERT_EQ(0, load_move_to_cgroup(&self->loads[i], self->cgroups[i]));
		if (variant->nested || !variant->cgroups)
			break;
	}
	for (i = 0; i < MAX_POLICIES; i++) {
		self->links[i] = variant->cgroups ?
			attach_to_cgroup(self->skel->maps.all_hooks, self->cgroups[i]) :
			bpf_map__attach_struct_ops(self->skel->maps.all_hooks);
		ASSERT_NE(NULL, self->links[i]);
	}
	EXPECT_EQ(MAX_POLICIES, count_policies("answer_all", WAKEUP));

	do {
		struct policy p;

		sleep_ms(200);
		ASSERT_EQ(0, read_policy("answer_all", &p));
		/* Ids are given in order, and nobody else attaches. */
		for (i = 0, asked = 0; i < MAX_POLICIES; i++)
			asked += !read_counters_of(p.id + i, WAKEUP, &c) && c.calls;
	} while (asked < MAX_POLICIES && --tries);
	EXPECT_EQ(MAX_POLICIES, asked);
	EXPECT_GT(self->loads[MAX_POLICIES - 1].stats->rounds, 0);
	EXPECT_GT(hog.stats->rounds, 0);

	for (i = 0; i < MAX_POLICIES; i++) {
		EXPECT_EQ(0, bpf_link__destroy(self->links[i]));
		self->links[i] = NULL;
	}
	EXPECT_TRUE(policy_gone("answer_all"));
	load_stop(&hog);
}

/* Policies change while the tasks that they are asked about have to leave the CPU. */
TEST_F_TIMEOUT(faults, cpu_goes_while_asked, 300)
{
	struct bpf_link *link;
	int i, n;

	start_loads();
	self->first->bss->tick_answer = -1;
	self->second->bss->wakeup_answer = 1;
	link = bpf_map__attach_struct_ops(self->first->maps.all_hooks);
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

TEST_HARNESS_MAIN
