// SPDX-License-Identifier: GPL-2.0
/*
 * Single programs in SEC("sched/<hook>"), written as for the 2021 proposal: they
 * attach by themselves, each by a link of its own, which can be pinned.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "lib.h"
#include "readme.skel.h"
#include "rfc.skel.h"

#define PHASE_MS	1000
#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define TICK		"cfs_check_preempt_tick"
#define PIN		"/sys/fs/bpf/sched_bpf_test"

TEST(skeleton_attaches)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct counters c;
	struct rfc *skel;

	skel = rfc__open_and_load();
	ASSERT_NE(NULL, skel);
	ASSERT_EQ(0, rfc__attach(skel));

	/* Three programs: three links, three policies of one hook each. */
	ASSERT_NE(NULL, skel->links.wakeup);
	ASSERT_NE(NULL, skel->links.preempt_entity);
	ASSERT_NE(NULL, skel->links.tick);
	EXPECT_EQ(0, read_counters("wakeup", WAKEUP, &c));
	EXPECT_EQ(0, read_counters("preempt_entity", ENTITY, &c));
	EXPECT_EQ(0, read_counters("tick", TICK, &c));
	EXPECT_EQ(-ENOENT, read_counters("tick", WAKEUP, &c));

	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(skel->links.tick), &info, &len));
	EXPECT_EQ(BPF_LINK_TYPE_STRUCT_OPS, info.type);
	EXPECT_NE(0, info.struct_ops.map_id);

	rfc__destroy(skel);
	EXPECT_TRUE(policy_gone("wakeup"));
	EXPECT_TRUE(policy_gone("preempt_entity"));
	EXPECT_TRUE(policy_gone("tick"));
}

/* The program of that time does now what it did then. */
TEST(keeps_a_task_running)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	struct counters c;
	uint64_t n[2];
	struct rfc *skel;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, load_start(&hogs[0], &attr));
	ASSERT_EQ(0, load_start(&hogs[1], &attr));
	skel = rfc__open_and_load();
	ASSERT_NE(NULL, skel);
	for (int i = 0; i < 2; i++) {
		n[i] = switches(hogs[0].pid);
		sleep_ms(PHASE_MS);
		n[i] = switches(hogs[0].pid) - n[i];
		if (i)
			break;
		skel->bss->tgidpid = (unsigned long)hogs[0].pid << 32 | hogs[0].pid;
		ASSERT_EQ(0, rfc__attach(skel));
	}
	ASSERT_EQ(0, read_counters("tick", TICK, &c));
	TH_LOG("switches: stock %lu, kept for 20 ms a turn %lu", n[0], n[1]);
	EXPECT_GT(n[0], 2 * n[1]);
	EXPECT_GT(c.negative, 0);
	rfc__destroy(skel);
	load_stop(&hogs[0]);
	load_stop(&hogs[1]);
}

/* A pinned link outlives its loader, killed here; unpinning it detaches. */
TEST(pinned_link_survives)
{
	const struct load_attr attr = { .kind = HOG };
	struct counters before, after;
	struct load hogs[2] = {};
	pid_t loader;
	int status;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");

	mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
	unlink(PIN);
	loader = fork();
	if (!loader) {
		struct rfc *skel = rfc__open_and_load();
		struct bpf_link *link;

		link = skel ? bpf_program__attach(skel->progs.tick) : NULL;
		if (!link || bpf_link__pin(link, PIN))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(loader, waitpid(loader, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));

	ASSERT_EQ(0, load_start(&hogs[0], &attr));
	ASSERT_EQ(0, load_start(&hogs[1], &attr));
	ASSERT_EQ(0, read_counters("tick", TICK, &before));
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("tick", TICK, &after));
	EXPECT_GT(after.calls, before.calls);
	load_stop(&hogs[0]);
	load_stop(&hogs[1]);

	ASSERT_EQ(0, unlink(PIN));
	EXPECT_TRUE(policy_gone("tick"));
}

/* A loader that is killed takes its policy with it. */
TEST(killed_loader_detaches)
{
	struct counters c;
	int fds[2];
	pid_t loader;
	char ok = 0;

	ASSERT_EQ(0, pipe(fds));
	loader = fork();
	if (!loader) {
		struct rfc *skel = rfc__open_and_load();

		ok = skel && !rfc__attach(skel);
		if (write(fds[1], &ok, 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(fds[0], &ok, 1));
	ASSERT_TRUE(ok);
	EXPECT_EQ(0, read_counters("tick", TICK, &c));
	kill(loader, SIGKILL);
	ASSERT_EQ(loader, waitpid(loader, NULL, 0));
	EXPECT_TRUE(policy_gone("tick"));
	EXPECT_TRUE(policy_gone("wakeup"));
}

/* The program that the documentation shows keeps sleepers from batch work. */
TEST(documented_example)
{
	const struct load_attr hog_attr = { .kind = HOG, .slice_ns = 100 * NSEC_PER_MSEC };
	struct load_attr attr = { .kind = SLEEPER, .slice_ns = 100 * NSEC_PER_MSEC };
	struct load hog = {}, sleeper = {};
	struct readme *skel;
	uint64_t n[2];
	char path[128];

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, cgroup_make(NULL, "batch", path, sizeof(path)));
	skel = readme__open_and_load();
	ASSERT_NE(NULL, skel);
	skel->bss->batch = cgroup_id(path);
	ASSERT_EQ(0, readme__attach(skel));
	/* The same two tasks, with the hog in the cgroup and outside. */
	for (int i = 0; i < 2; i++) {
		struct load_attr h = hog_attr;

		h.cgroup = i ? NULL : path;
		ASSERT_EQ(0, load_start(&hog, &h));
		ASSERT_EQ(0, load_start(&sleeper, &attr));
		sleep_ms(100);
		n[i] = sleeper.stats->rounds;
		sleep_ms(PHASE_MS);
		n[i] = sleeper.stats->rounds - n[i];
		load_stop(&sleeper);
		load_stop(&hog);
	}
	TH_LOG("rounds beside batch work %lu, beside other work %lu", n[0], n[1]);
	EXPECT_GT(n[1], 4 * n[0]);
	readme__destroy(skel);
	cgroup_remove(path);
}

TEST_HARNESS_MAIN
