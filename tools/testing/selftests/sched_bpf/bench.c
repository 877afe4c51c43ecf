// SPDX-License-Identifier: GPL-2.0
/*
 * The cost of hooks that return 0, compared with the same kernel without a policy, with
 * sched_ext's simplest scheduler and with trampolines on functions at the same places, the
 * mechanism of the first proposal. The loads are those of "perf bench sched". Figures are
 * repeatable in a machine whose time counts instructions, where a nanosecond is one.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "empty.skel.h"
#include "lib.h"
#include "policy.h"

#define OTHERS		64
#define ROUNDS		200000
#define MESSAGES	50

/* Static keys may be switched off with a delay. */
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
	struct bpf_link *link = attach_to(map, cgroup);

	if (!link)
		fail(cgroup);
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

static uint64_t all_calls(const char *policy)
{
	uint64_t sum = 0;
	int h;

	for (h = 0; policy && h < NR_HOOKS; h++)
		sum += calls_of(policy, hook_names[h]);
	return sum;
}

/* What the loads take, in seconds. */
struct cost {
	double pipe, messages;
};

/* Without the option. */
static struct cost off;

/* Run the loads, and count the calls of the policy in the first. */
static struct cost run(const char *policy, uint64_t *calls)
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
	*calls = all_calls(policy);
	cost.pipe = seconds(pipe);
	*calls = all_calls(policy) - *calls;
	cost.messages = seconds(messages);
	return cost;
}

static void print(const char *what, struct cost cost)
{
	printf("%-42s %9.0f %+7.2f %% %9.3f %+6.1f %%", what, cost.pipe * 1e9 / ROUNDS,
	       100 * (cost.pipe / off.pipe - 1), cost.messages,
	       100 * (cost.messages / off.messages - 1));
}

/* Print the time of the loads, the difference to a kernel without the option, and per call. */
static void measure(const char *what, const char *policy)
{
	static struct cost no_policy;
	struct cost cost;
	uint64_t calls;

	cost = run(policy, &calls);
	if (!no_policy.pipe)
		no_policy = cost;
	print(what, cost);
	if (calls)
		printf(" %9.1f %9.1f", (double)calls / ROUNDS,
		       (cost.pipe - no_policy.pipe) * 1e9 / calls);
	printf("\n");
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
 * the base of the comparison.
 */
int main(int argc, char *argv[])
{
	struct bpf_link *links[OTHERS] = {};
	uint64_t calls;
	int i;

	setlinebuf(stdout);
	if (argc == 2 && !strcmp(argv[1], "off") && setup_cpus()) {
		off = run(NULL, &calls);
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
	       "calls", "ns");
	printf("%-42s %9s %9s %9s %8s %9s %9s\n", "", "ns/round", "", "s", "", "per round",
	       "per call");
	print("without the option", off);
	printf("\n");
	measure("no policy", NULL);

	links[0] = attach(skel->maps.two_empty, CGROUP_ROOT);
	measure("1 policy in BPF, wakeup and slice", "two_empty");
	bpf_link__destroy(links[0]);

	links[0] = attach(skel->maps.bpf_empty, CGROUP_ROOT);
	measure("1 policy in BPF, all hooks", "bpf_empty");
	links[1] = attach(skel->maps.bpf_empty, CGROUP_ROOT);
	measure("2 policies in BPF", "bpf_empty");
	bpf_link__destroy(links[1]);
	bpf_link__destroy(links[0]);

	links[0] = attach(skel->maps.shadow_empty, CGROUP_ROOT);
	measure("1 policy in BPF, shadow mode", "shadow_empty");
	bpf_link__destroy(links[0]);

	if (!module_load(beside("sched_bpf_test.ko"), "")) {
		measure("1 policy in Rust", "rust_empty");
		module_unload("sched_bpf_test");
	} else {
		printf("%-42s not built\n", "1 policy in Rust");
	}

	for (i = 0; i < OTHERS; i++)
		links[i] = attach(skel->maps.bpf_empty, other);
	measure("64 policies in BPF, of another cgroup", NULL);
	for (i = 0; i < OTHERS; i++)
		bpf_link__destroy(links[i]);

	bpf_map__set_autoattach(skel->maps.two_empty, false);
	bpf_map__set_autoattach(skel->maps.bpf_empty, false);
	bpf_map__set_autoattach(skel->maps.shadow_empty, false);
	if (empty__attach(skel))
		fail("fentry");
	sleep_ms(SETTLE_MS);
	measure("3 trampolines", NULL);
	empty__detach(skel);
	sleep_ms(SETTLE_MS);
	measure("no policy", NULL);

	/* Last: all loads are slower after sched_ext was used, with policies or without. */
	measure_scx();

	empty__destroy(skel);
	cgroup_remove(other);
	return 0;
}
