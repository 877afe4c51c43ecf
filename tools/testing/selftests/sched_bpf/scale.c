// SPDX-License-Identifier: GPL-2.0
/*
 * What attaching and detaching costs: with as many policies as there can be, idle
 * and while they are asked, and with many and with deep cgroups. The figures are
 * printed; what is checked is only their order of magnitude. What a question costs
 * in a deep cgroup is not measured here: that takes an undisturbed clock.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define WAKEUP		"cfs_check_preempt_wakeup"
#define TICK		"cfs_check_preempt_tick"
#define MAX_POLICIES	64
#define SAMPLES		9

#define CHAINS		32	/* in the tree of cgroups */
#define DEPTH		32	/* of its leaves, its root included */

#define NR_LOADS	4

FIXTURE(scale) {
	struct answer *skel;
	struct bpf_link *links[MAX_POLICIES - 1];
	struct load loads[NR_LOADS];
	uint64_t max_share;
	char tree[128];
	char leaf[512];
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	/* The files of a cgroup go with it. */
	return type == FTW_DP ? rmdir(path) : 0;
}

FIXTURE_SETUP(scale)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	/* In a debug kernel each of them takes long. */
	self->max_share = get_knob("max_share");
	ASSERT_EQ(0, set_knob("max_share", 50));
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(scale)
{
	int i;

	for (i = 0; i < NR_LOADS; i++)
		load_stop(&self->loads[i]);
	for (i = 0; i < MAX_POLICIES - 1; i++)
		bpf_link__destroy(self->links[i]);
	answer__destroy(self->skel);
	set_knob("max_share", self->max_share);
	if (self->tree[0])
		nftw(self->tree, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

struct cost {
	uint64_t attach_us, detach_us;
};

/* The median cost of one more policy: of the system, or of this cgroup. */
static struct cost one_more(struct __test_metadata *_metadata, const struct bpf_map *map,
			    const char *cgroup)
{
	uint64_t attach[SAMPLES], detach[SAMPLES], start;
	struct bpf_link *link;
	int i, fd = -1;

	if (cgroup) {
		fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ASSERT_GE(fd, 0);
	}
	for (i = 0; i < SAMPLES; i++) {
		start = now_ns();
		link = cgroup ? bpf_map__attach_cgroup_opts(map, fd, NULL) :
				bpf_map__attach_struct_ops(map);
		attach[i] = (now_ns() - start) / 1000;
		ASSERT_NE(NULL, link);
		start = now_ns();
		/* Not destroy: the loads may have inherited the link. */
		ASSERT_EQ(0, bpf_link__detach(link));
		detach[i] = (now_ns() - start) / 1000;
		bpf_link__destroy(link);
	}
	if (cgroup)
		close(fd);
	qsort(attach, SAMPLES, sizeof(*attach), compare);
	qsort(detach, SAMPLES, sizeof(*detach), compare);
	return (struct cost){ attach[SAMPLES / 2], detach[SAMPLES / 2] };
}

static void log_cost(struct __test_metadata *_metadata, const char *what, struct cost cost)
{
	TH_LOG("%s: %lu us to attach, %lu us to detach", what, cost.attach_us, cost.detach_us);
}

#define start_loads() ({							\
	static const enum load_kind kinds[NR_LOADS] = {				\
		HOG, SLEEPER, PIPE_PONG, YIELDER,				\
	};									\
	int n;									\
										\
	for (n = 0; n < NR_LOADS; n++) {					\
		const struct load_attr attr = { .kind = kinds[n] };		\
										\
		ASSERT_EQ(0, load_start(&self->loads[n], &attr));		\
	}									\
})

TEST_F_TIMEOUT(scale, last_policy, 120)
{
	struct bpf_map *map = self->skel->maps.all_hooks;
	struct counters before, after;
	struct cost alone, idle, busy;
	int i;

	alone = one_more(_metadata, map, NULL);
	for (i = 0; i < MAX_POLICIES - 1; i++) {
		self->links[i] = bpf_map__attach_struct_ops(map);
		ASSERT_NE(NULL, self->links[i]);
	}
	idle = one_more(_metadata, map, NULL);
	start_loads();
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &before));
	busy = one_more(_metadata, map, NULL);
	ASSERT_EQ(0, read_counters("answer_all", WAKEUP, &after));

	log_cost(_metadata, "the only policy", alone);
	log_cost(_metadata, "the last of 64, nobody asks", idle);
	log_cost(_metadata, "the last of 64, while asked", busy);
	EXPECT_GT(after.calls, before.calls);
	EXPECT_LT(busy.attach_us, 20 * idle.attach_us);
	EXPECT_LT(busy.detach_us, 20 * idle.detach_us);
}

TEST_F_TIMEOUT(scale, many_cgroups, 240)
{
	struct bpf_map *map = self->skel->maps.all_hooks;
	struct load_attr attr = { .kind = HOG };
	struct cost without, root, leaf;
	struct bpf_link *at_root, *at_leaf;
	struct counters c;
	struct policy p;
	int i, n, fd;

	ASSERT_EQ(0, cgroup_make(NULL, "tree", self->tree, sizeof(self->tree)));
	without = one_more(_metadata, map, self->tree);
	for (i = 0; i < CHAINS; i++) {
		int len = snprintf(self->leaf, sizeof(self->leaf), "%s/%d", self->tree, i);

		ASSERT_EQ(0, mkdir(self->leaf, 0755));
		for (n = 2; n < DEPTH; n++) {
			len += snprintf(self->leaf + len, sizeof(self->leaf) - len, "/c");
			ASSERT_EQ(0, mkdir(self->leaf, 0755));
		}
	}
	root = one_more(_metadata, map, self->tree);
	leaf = one_more(_metadata, map, self->leaf);
	log_cost(_metadata, "a cgroup without others below", without);
	log_cost(_metadata, "a cgroup with 992 below", root);
	log_cost(_metadata, "a cgroup at depth 32", leaf);
	EXPECT_LT(root.attach_us, 20 * without.attach_us);
	EXPECT_LT(root.detach_us, 20 * without.detach_us);

	/* A task at depth 32 is asked about at both ends. */
	attr.cgroup = self->leaf;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&self->loads[i], &attr));
	fd = open(self->leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	at_leaf = bpf_map__attach_cgroup_opts(self->skel->maps.only_tick, fd, NULL);
	ASSERT_NE(NULL, at_leaf);
	close(fd);
	fd = open(self->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	at_root = bpf_map__attach_cgroup_opts(map, fd, NULL);
	ASSERT_NE(NULL, at_root);
	close(fd);
	sleep_ms(500);
	ASSERT_EQ(0, read_policy("answer_tick", &p));
	EXPECT_EQ(cgroup_id(self->leaf), p.cgroup);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.calls, 0);
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.calls, 0);
	bpf_link__destroy(at_leaf);
	bpf_link__destroy(at_root);
}

TEST_HARNESS_MAIN
