// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to ask policies that have no opinion on any hook, beside the same
 * kernel without one, sched_ext's simplest scheduler and trampolines on functions at the
 * same places, which is how the first proposal of BPF in the fair class worked. The
 * loads are those of "perf bench sched". Best in a machine whose time counts instructions,
 * where the figures are repeatable: then a nanosecond is an instruction.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "empty.skel.h"
#include "lib.h"

#define OTHERS		64
#define ROUNDS		50000
#define MESSAGES	50

/* Keys of hooks are turned off a second after the last policy has gone. */
#define SETTLE_MS	1500

static struct empty *skel;
static char other[192];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct bpf_link *attach(struct bpf_map *map, const char *cgroup)
{
	struct bpf_link *link;
	int fd;

	if (!cgroup)
		return bpf_map__attach_struct_ops(map) ?: (fail("attach"), NULL);
	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	link = bpf_map__attach_cgroup_opts(map, fd, NULL);
	if (!link)
		fail(cgroup);
	close(fd);
	return link;
}

/* The seconds that a benchmark of perf says it took. */
static double seconds(const char *bench)
{
	char command[160], line[256];
	double s = 0;
	FILE *out;

	snprintf(command, sizeof(command), "taskset -c %d perf bench sched %s 2>/dev/null",
		 LOAD_CPU, bench);
	out = popen(command, "re");
	if (!out)
		fail(command);
	while (fgets(line, sizeof(line), out))
		sscanf(line, " Total time: %lf", &s);
	if (pclose(out) || !s) {
		fprintf(stderr, "%s: no total time\n", command);
		exit(1);
	}
	return s;
}

static uint64_t questions(const char *policy)
{
	struct counters c;
	uint64_t sum = 0;
	int h;

	for (h = 0; policy && h < NR_HOOKS; h++)
		sum += read_counters(policy, hook_names[h], &c) ? 0 : c.calls;
	return sum;
}

/* What the loads take, in seconds. */
struct cost {
	double pipe, messages;
};

/* Without the option. */
static struct cost off;

/* Those of the loads now, and how many questions a policy is asked by the first. */
static struct cost run(const char *policy, uint64_t *asked)
{
	char pipe[32], messages[48];
	static bool warm;
	struct cost cost;

	snprintf(pipe, sizeof(pipe), "pipe -l %d", ROUNDS);
	snprintf(messages, sizeof(messages), "messaging -g 2 -l %d", MESSAGES);
	/* Once for the caches, such as those of the emulation. */
	if (!warm)
		seconds(pipe);
	warm = true;
	*asked = questions(policy);
	cost.pipe = seconds(pipe);
	*asked = questions(policy) - *asked;
	cost.messages = seconds(messages);
	return cost;
}

static void print(const char *what, struct cost cost)
{
	printf("%-42s %9.0f %+7.2f %% %9.3f %+6.1f %%", what, cost.pipe * 1e9 / ROUNDS,
	       100 * (cost.pipe / off.pipe - 1), cost.messages,
	       100 * (cost.messages / off.messages - 1));
}

/* Print what the loads take, what that is more than without the option, and of each question. */
static void measure(const char *what, const char *policy)
{
	static struct cost no_policy;
	struct cost cost;
	uint64_t asked;

	cost = run(policy, &asked);
	if (!no_policy.pipe)
		no_policy = cost;
	print(what, cost);
	if (asked)
		printf(" %9.1f %9.1f", (double)asked / ROUNDS,
		       (cost.pipe - no_policy.pipe) * 1e9 / asked);
	printf("\n");
}

/* The path of a file beside this program. */
static const char *beside(const char *name)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);

	path[len < 0 ? 0 : len] = 0;
	strcpy(strrchr(path, '/') + 1, name);
	return path;
}

static void measure_scx(void)
{
	const char *path = beside("scx_simple");
	pid_t pid;

	if (access(path, X_OK)) {
		printf("%-42s not built\n", "scx_simple");
		return;
	}
	pid = fork();
	if (!pid) {
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		execl(path, path, NULL);
		_exit(1);
	}
	sleep_ms(SETTLE_MS);
	if (waitpid(pid, NULL, WNOHANG)) {
		printf("%-42s does not run\n", "scx_simple");
		return;
	}
	measure("scx_simple", NULL);
	kill(pid, SIGINT);
	waitpid(pid, NULL, 0);
}

/*
 * bench off: print two numbers, for a kernel without the option. bench NUMBER NUMBER: they are
 * what all is compared with.
 */
int main(int argc, char *argv[])
{
	struct bpf_link *links[OTHERS] = {};
	uint64_t asked;
	int i;

	setlinebuf(stdout);
	if (argc == 2 && !strcmp(argv[1], "off") && setup_cpus()) {
		off = run(NULL, &asked);
		printf("%.9f %.9f\n", off.pipe, off.messages);
		return 0;
	}
	if (argc != 3) {
		fprintf(stderr, "Usage: bench off | bench PIPE_SECONDS MESSAGES_SECONDS\n");
		return 1;
	}
	off.pipe = atof(argv[1]);
	off.messages = atof(argv[2]);
	skel = empty__open_and_load();
	if (!skel || !setup_cpus() || cgroup_make(NULL, "other", other, sizeof(other)))
		fail("setup");

	printf("%-42s %9s %9s %9s %8s %9s %9s\n", "", "pipe", "more", "messages", "more",
	       "questions", "ns");
	printf("%-42s %9s %9s %9s %8s %9s %9s\n", "", "ns/round", "", "s", "", "per round",
	       "of each");
	print("without the option", off);
	printf("\n");
	measure("no policy", NULL);

	links[0] = attach(skel->maps.empty, NULL);
	measure("1 policy in BPF", "bpf_empty");
	links[1] = attach(skel->maps.empty, NULL);
	measure("2 policies in BPF", "bpf_empty");
	bpf_link__destroy(links[1]);
	bpf_link__destroy(links[0]);

	links[0] = attach(skel->maps.empty_shadow, NULL);
	measure("1 policy in BPF, in the shadow", "shadow_empty");
	bpf_link__destroy(links[0]);

	if (!module_load(beside("sched_bpf_test.ko"), "")) {
		measure("1 policy in Rust", "rust_empty");
		module_unload("sched_bpf_test");
	} else {
		printf("%-42s not built\n", "1 policy in Rust");
	}

	for (i = 0; i < OTHERS; i++)
		links[i] = attach(skel->maps.empty, other);
	measure("64 policies in BPF, of another cgroup", NULL);
	for (i = 0; i < OTHERS; i++)
		bpf_link__destroy(links[i]);

	if (empty__attach(skel))
		fail("fentry");
	bpf_link__destroy(skel->links.empty);
	bpf_link__destroy(skel->links.empty_shadow);
	skel->links.empty = NULL;
	skel->links.empty_shadow = NULL;
	sleep_ms(SETTLE_MS);
	measure("3 trampolines", NULL);
	empty__detach(skel);
	sleep_ms(SETTLE_MS);
	measure("no policy", NULL);

	/* Last: what runs after sched_ext was used is slower than before, policies or not. */
	measure_scx();

	empty__destroy(skel);
	cgroup_remove(other);
	return 0;
}
