// SPDX-License-Identifier: GPL-2.0
/*
 * What hooks cost: two threads that do nothing but wake each other, beside a hog,
 * without a policy and with policies that have no opinion. Best in a machine whose
 * time counts instructions, where the figures are repeatable.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "answer.skel.h"
#include "lib.h"

#define PHASE_MS	1000
#define OTHERS		63
#define DEPTH		32

static struct answer *skel;
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
		return bpf_map__attach_struct_ops(skel->maps.all_hooks) ?: (fail("attach"), NULL);
	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	link = bpf_map__attach_cgroup_opts(skel->maps.all_hooks, fd, NULL);
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

int main(void)
{
	struct bpf_link *links[OTHERS + 1] = {};
	size_t len;
	int i;

	setlinebuf(stdout);
	skel = answer__open_and_load();
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

	answer__destroy(skel);
	cgroup_remove(other);
	while (strcmp(strrchr(deep, '/'), "/d") == 0) {
		cgroup_remove(deep);
		*strrchr(deep, '/') = 0;
	}
	cgroup_remove(deep);
	return 0;
}
