// SPDX-License-Identifier: GPL-2.0
/* SEC("sched/<hook>") programs, each of which is a policy of its own. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "attach.skel.h"
#include "lib.h"
#include "policy.h"
#include "readme.skel.h"
#include "rfc.skel.h"

#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define TICK		"cfs_check_preempt_tick"
#define PIN		"/sys/fs/bpf/sched_bpf_test"

TEST(program_in_cgroup)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct attach *maps;
	struct bpf_link *link;
	struct rfc *skel;
	char path[192];
	struct policy p;
	int fd;

	ASSERT_EQ(0, cgroup_make(NULL, "a", path, sizeof(path)));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	skel = rfc__open_and_load();
	ASSERT_NE(NULL, skel);
	maps = attach__open();
	ASSERT_NE(NULL, maps);
	bpf_map__set_autocreate(maps->maps.no_link, false);
	ASSERT_EQ(0, attach__load(maps));

	link = bpf_program__attach_cgroup(skel->progs.tick, fd);
	ASSERT_NE(NULL, link);
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &len));
	EXPECT_EQ(cgroup_id(path), info.struct_ops.cgroup_id);
	ASSERT_EQ(0, read_policy("tick", &p));
	EXPECT_EQ(cgroup_id(path), p.cgroup);
	EXPECT_EQ(info.id, p.link);
	EXPECT_EQ(info.struct_ops.map_id, p.map);
	ASSERT_EQ(0, bpf_link__update_map(link, maps->maps.ops_1));
	EXPECT_EQ(1, count_policies("note_1"));
	bpf_link__destroy(link);
	EXPECT_TRUE(policy_gone("note_1"));
	attach__destroy(maps);
	rfc__destroy(skel);
	close(fd);
	cgroup_remove(path);
}

/* Each program of the skeleton has a link of its own, to the root cgroup. */
TEST(programs_in_skeleton)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hogs[2] = {};
	struct counters c;
	uint64_t n[2] = {};
	struct policy p;
	struct rfc *skel;
	int i;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attr));
	skel = rfc__open_and_load();
	ASSERT_NE(NULL, skel);
	for (i = 0; i < 2; i++) {
		n[i] = switches(hogs[0].pid);
		sleep_ms(1000);
		n[i] = switches(hogs[0].pid) - n[i];
		if (i)
			break;
		skel->bss->tgidpid = (unsigned long)hogs[0].pid << 32 | hogs[0].pid;
		ASSERT_EQ(0, rfc__attach(skel));
	}
	/* The slices of the first hog are extended. */
	TH_LOG("switches: default %lu, with the policy %lu", n[0], n[1]);
	EXPECT_GT(n[0], 2 * n[1]);
	ASSERT_EQ(0, read_counters("tick", TICK, &c));
	EXPECT_GT(c.negative, 0);
	EXPECT_EQ(-ENOENT, read_counters("tick", WAKEUP, &c));
	EXPECT_EQ(0, read_counters("wakeup", WAKEUP, &c));
	EXPECT_EQ(0, read_counters("preempt_entity", ENTITY, &c));
	ASSERT_EQ(0, read_policy("tick", &p));
	EXPECT_EQ(cgroup_id(CGROUP_ROOT), p.cgroup);
	rfc__destroy(skel);
	EXPECT_TRUE(policy_gone("wakeup"));
	EXPECT_TRUE(policy_gone("tick"));
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

TEST(pinned_link_outlives_loader)
{
	pid_t loader;
	int status;

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
	EXPECT_EQ(1, count_policies("tick"));
	ASSERT_EQ(0, unlink(PIN));
	EXPECT_TRUE(policy_gone("tick"));
}

/* The example of the documentation: sleepers do not preempt tasks of this cgroup. */
TEST(documented_example)
{
	const struct load_attr hog_attr = { .kind = HOG, .slice_ns = 100 * NSEC_PER_MSEC };
	struct load_attr attr = { .kind = SLEEPER, .slice_ns = 100 * NSEC_PER_MSEC };
	struct load hog = {}, sleeper = {};
	struct readme *skel;
	uint64_t n[2];
	char path[128];
	int i;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, cgroup_make(NULL, "batch", path, sizeof(path)));
	skel = readme__open_and_load();
	ASSERT_NE(NULL, skel);
	skel->bss->batch = cgroup_id(path);
	ASSERT_EQ(0, readme__attach(skel));
	/* With the hog in the cgroup and outside. */
	for (i = 0; i < 2; i++) {
		struct load_attr h = hog_attr;

		h.cgroup = i ? NULL : path;
		ASSERT_EQ(0, load_start(&hog, &h));
		ASSERT_EQ(0, load_start(&sleeper, &attr));
		sleep_ms(100);
		n[i] = sleeper.stats->rounds;
		sleep_ms(1000);
		n[i] = sleeper.stats->rounds - n[i];
		load_stop(&sleeper);
		load_stop(&hog);
	}
	TH_LOG("rounds with batch work %lu, with other work %lu", n[0], n[1]);
	EXPECT_GT(n[1], n[0] * 5 / 4);
	readme__destroy(skel);
	cgroup_remove(path);
}

TEST_HARNESS_MAIN
