// SPDX-License-Identifier: GPL-2.0
/*
 * What hooks cost: two threads that do nothing but wake each other, beside a hog,
 * without a policy and with policies that have no opinion; and what a call of such a
 * policy takes, in BPF and in Rust. Best in a machine whose time counts instructions,
 * where the figures are repeatable.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "empty.skel.h"
#include "lib.h"

#define PHASE_MS	1000
#define OTHERS		63
#define DEPTH		32

static struct empty *skel;
static char deep[1024], other[192];
static double none;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct bpf_link *attach(const char *cgroup)
{
	struct bpf_link *link;
	int fd;

	if (!cgroup)
		return bpf_map__attach_struct_ops(skel->maps.empty) ?: (fail("attach"), NULL);
	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	link = bpf_map__attach_cgroup_opts(skel->maps.empty, fd, NULL);
	if (!link)
		fail(cgroup);
	close(fd);
	return link;
}

/* Print the time of a round, and what it is more than without a policy. */
static void measure(const char *what, const char *cgroup)
{
	const struct load_attr hog_attr = { .kind = HOG, .cgroup = cgroup };
	const struct load_attr attr = { .kind = PIPE_PONG, .cgroup = cgroup };
	struct load hog = {}, pong = {};
	uint64_t rounds, time;
	double ns;

	if (load_start(&hog, &hog_attr) || load_start(&pong, &attr))
		fail("load");
	sleep_ms(200);
	rounds = pong.stats->rounds;
	time = cpu_time_ns(pong.pid);
	sleep_ms(PHASE_MS);
	rounds = pong.stats->rounds - rounds;
	time = cpu_time_ns(pong.pid) - time;
	load_stop(&pong);
	load_stop(&hog);

	/* The main thread's half of a round: one wakeup, one sleep. */
	ns = (double)time / rounds;
	if (!none)
		none = ns;
	printf("%-52s %8lu %10.0f %+9.0f\n", what, rounds, ns, ns - none);
}

static const char * const hooks[] = {
	"cfs_check_preempt_wakeup", "cfs_wakeup_preempt_entity", "cfs_check_preempt_tick",
};

#define NR_HOOKS	3

static void read_all(const char *policy, struct counters *c)
{
	int h;

	for (h = 0; h < NR_HOOKS; h++) {
		if (read_counters(policy, hooks[h], &c[h]))
			fail(policy);
	}
}

static double ns_per_call(const struct counters *after, const struct counters *before)
{
	return (double)(after->time_ns - before->time_ns) / (after->calls - before->calls);
}

/* Print the time of a call of each hook of two policies, which are asked in turn. */
static void measure_calls(const char *what, const char *bpf, const char *rust)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = PIPE_PONG };
	struct counters b[2][NR_HOOKS], r[2][NR_HOOKS];
	struct load hog = {}, pong = {};
	int fd, h;

	/* Until it is closed, as by sysctl kernel.bpf_stats_enabled. */
	fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (fd < 0 || load_start(&hog, &hog_attr) || load_start(&pong, &attr))
		fail("load");
	sleep_ms(200);
	read_all(bpf, b[0]);
	read_all(rust, r[0]);
	sleep_ms(2 * PHASE_MS);
	read_all(bpf, b[1]);
	read_all(rust, r[1]);
	load_stop(&pong);
	load_stop(&hog);
	close(fd);

	printf("\n%-52s %8s %10s %9s\n", what, "calls", "ns BPF", "ns Rust");
	for (h = 0; h < NR_HOOKS; h++)
		printf("%-52s %8lu %10.1f %9.1f\n", hooks[h], b[1][h].calls - b[0][h].calls,
		       ns_per_call(&b[1][h], &b[0][h]), ns_per_call(&r[1][h], &r[0][h]));
}

/* The module beside this program. */
static int load_rust(const char *params)
{
	char path[PATH_MAX] = {}, *slash;

	if (readlink("/proc/self/exe", path, sizeof(path) - sizeof("sched_bpf_test.ko")) < 0)
		return -errno;
	slash = strrchr(path, '/');
	strcpy(slash + 1, "sched_bpf_test.ko");
	return module_load(path, params);
}

int main(void)
{
	struct bpf_link *links[OTHERS + 1] = {};
	size_t len;
	int i;

	setlinebuf(stdout);
	skel = empty__open_and_load();
	if (!skel || !setup_cpus() || cgroup_make(NULL, "other", other, sizeof(other)) ||
	    cgroup_make(NULL, "deep", deep, sizeof(deep)))
		fail("setup");
	for (i = 1; i < DEPTH; i++) {
		len = strlen(deep);
		snprintf(deep + len, sizeof(deep) - len, "/d");
		if (mkdir(deep, 0755))
			fail(deep);
	}

	printf("%-52s %8s %10s %9s\n", "", "rounds", "ns/round", "more");
	measure("no policy", NULL);
	measure("no policy, tasks 32 cgroups deep", deep);

	links[0] = attach(NULL);
	measure("1 policy, system-wide", NULL);
	measure("1 policy, system-wide, tasks 32 deep", deep);
	bpf_link__destroy(links[0]);

	links[0] = attach(deep);
	measure("1 policy, of the tasks' cgroup, 32 deep", deep);
	for (i = 1; i <= OTHERS; i++)
		links[i] = attach(other);
	measure("1 policy, of the tasks' cgroup, and 63 of another", deep);
	bpf_link__destroy(links[0]);
	measure("63 policies of another cgroup", NULL);
	for (i = 1; i <= OTHERS; i++)
		bpf_link__destroy(links[i]);

	links[0] = attach(NULL);
	links[1] = attach(NULL);
	measure("2 policies, system-wide", NULL);
	bpf_link__destroy(links[0]);
	bpf_link__destroy(links[1]);
	measure("no policy", NULL);

	if (!load_rust("")) {
		measure("1 policy in Rust, system-wide", NULL);
		module_unload("sched_bpf_test");
		links[0] = attach(NULL);
		measure("1 policy in BPF, system-wide", NULL);
		bpf_link__destroy(links[0]);

		/* Only the one that is attached first is called directly. */
		links[0] = attach(NULL);
		load_rust("");
		measure_calls("a call, BPF directly", "bpf_empty", "rust_empty");
		bpf_link__destroy(links[0]);
		links[0] = attach(NULL);
		measure_calls("a call, Rust directly", "bpf_empty", "rust_empty");
		bpf_link__destroy(links[0]);
		module_unload("sched_bpf_test");
	} else {
		printf("no policy in Rust: sched_bpf_test.ko cannot be loaded\n");
	}

	empty__destroy(skel);
	cgroup_remove(other);
	while (strcmp(strrchr(deep, '/'), "/d") == 0) {
		cgroup_remove(deep);
		*strrchr(deep, '/') = 0;
	}
	cgroup_remove(deep);
	return 0;
}
