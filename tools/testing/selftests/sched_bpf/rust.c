// SPDX-License-Identifier: GPL-2.0
/* Policies in Rust: the crate, by the module sched_bpf_test. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../../../../samples/rust/rust_sched_hint.h"
#include "../kselftest_harness.h"
#include "lib.h"
#include "policy.h"
#include "mirror.skel.h"

#define MODULE		"sched_bpf_test"
#define HINT		"rust_sched_hint"
#define DEVICE		"/dev/sched_hint"
#define DEBUGFS		"/sys/kernel/debug/"
#define TICK		"cfs_check_preempt_tick"
#define SLICE		"cfs_slice"

#define LOAD(params)	ASSERT_EQ(0, module_load(beside(MODULE ".ko"), params))
#define UNLOAD()	ASSERT_EQ(0, module_unload(MODULE))

FIXTURE(rust) {
	char cgroup[192];
	struct load loads[NR_MIXED_LOADS];
	uint64_t max_share;
};

FIXTURE_SETUP(rust)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	if (access(beside(MODULE ".ko"), R_OK))
		SKIP(return, "built for a kernel without CONFIG_RUST_BPF_SCHED");
	self->max_share = get_knob("max_share");
	ASSERT_EQ(0, cgroup_make(NULL, "rust", self->cgroup, sizeof(self->cgroup)));
}

FIXTURE_TEARDOWN(rust)
{
	int i;

	for (i = 0; i < NR_MIXED_LOADS; i++)
		load_stop(&self->loads[i]);
	module_unload(MODULE);
	module_unload(HINT);
	if (!self->max_share)
		return;
	set_knob("max_share", self->max_share);
	cgroup_remove(self->cgroup);
}

TEST_F(rust, hooks_are_called_until_unloaded)
{
	struct counters c;
	struct policy p;
	int i;

	ASSERT_EQ(0, mixed_loads_start(self->loads));
	LOAD("");
	sleep_ms(1000);
	ASSERT_EQ(0, read_policy("rust_empty", &p));
	EXPECT_STREQ("enabled", p.state);
	for (i = 0; i < NR_HOOKS; i++) {
		/* Those that it does not implement have no counters. */
		if (strstr(hook_names[i], "select_cpu") || strstr(hook_names[i], "migrate")) {
			EXPECT_EQ(-ENOENT, read_counters("rust_empty", hook_names[i], &c));
			continue;
		}
		ASSERT_EQ(0, read_counters("rust_empty", hook_names[i], &c));
		EXPECT_GT(c.calls, 0) TH_LOG("%s", hook_names[i]);
		EXPECT_EQ(c.calls, c.zero);
	}
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
	UNLOAD();
	EXPECT_EQ(-ENOENT, read_policy("rust_empty", &p));
}

TEST_F(rust, scope_is_a_cgroup)
{
	struct load_attr attr = { .kind = HOG };
	struct counters c;
	char params[64];
	struct policy p;

	snprintf(params, sizeof(params), "policy=1 result=-1 cgroup=%lu", cgroup_id(self->cgroup));
	LOAD(params);
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	sleep_ms(300);
	ASSERT_EQ(0, read_policy("rust_test", &p));
	EXPECT_EQ(cgroup_id(self->cgroup), p.cgroup);
	EXPECT_EQ(0, calls_of("rust_test", TICK));
	attr.cgroup = self->cgroup;
	ASSERT_EQ(0, load_start(&self->loads[2], &attr));
	sleep_ms(300);
	ASSERT_EQ(0, read_counters("rust_test", TICK, &c));
	EXPECT_GT(c.negative, 0);
	UNLOAD();
	EXPECT_EQ(-ENOENT, module_load(beside(MODULE ".ko"), "cgroup=999999999"));
}

/* Tick results and slices have the effect that they have in BPF: bounds.c. */
TEST_F(rust, results_have_an_effect)
{
	uint64_t stock, longer, extended;

	stock = hog_switches(NULL, 0);
	LOAD("policy=1 slice_us=10000");
	longer = hog_switches(NULL, 0);
	UNLOAD();
	LOAD("policy=1 result=-1");
	extended = hog_switches(NULL, 0);
	UNLOAD();
	TH_LOG("switches: stock %lu, slice of 10 ms %lu, extended %lu", stock, longer, extended);
	EXPECT_GT(longer, 0);
	EXPECT_GT(stock, 2 * longer);
	EXPECT_GT(extended, 0);
	EXPECT_GT(stock, 2 * extended);
}

TEST_F(rust, over_budget_is_disabled)
{
	ASSERT_EQ(0, mixed_loads_start(self->loads));
	ASSERT_EQ(0, set_knob("max_share", 5));
	LOAD("policy=4");
	EXPECT_TRUE(policy_disabled("rust_test", 10000));
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
}

/* The same policy in both languages gets the same arguments and returns the same. */
TEST_F_TIMEOUT(rust, mirror_of_bpf, 60)
{
	struct counters bpf, rust;
	struct bpf_link *link;
	struct mirror *skel;
	char params[64];
	int i;

	/* Both look at more than policies do. */
	ASSERT_EQ(0, set_knob("max_share", 50));
	ASSERT_EQ(0, mixed_loads_start(self->loads));
	skel = mirror__open_and_load();
	ASSERT_NE(NULL, skel);
	link = attach_to(skel->maps.mirror, self->cgroup);
	ASSERT_NE(NULL, link);
	snprintf(params, sizeof(params), "policy=2 shadow=1 cgroup=%lu", cgroup_id(self->cgroup));
	LOAD(params);

	/* The tasks enter after both are attached. On one CPU there is nothing to balance. */
	ASSERT_EQ(0, mixed_loads_move(self->loads, self->cgroup));
	for (i = 0; i < 20; i++) {
		int n;

		for (n = 0; n < NR_MIXED_LOADS; n++) {
			if (i % 2)
				load_move_to_both(&self->loads[n]);
			else
				load_move_to_cpu(&self->loads[n], LOAD_CPU);
		}
		sleep_ms(100);
	}
	ASSERT_EQ(0, mixed_loads_move(self->loads, CGROUP_ROOT));
	sleep_ms(100);

	for (i = 0; i < NR_HOOKS; i++) {
		ASSERT_EQ(0, read_counters("bpf_mirror", hook_names[i], &bpf));
		ASSERT_EQ(0, read_counters("rust_test", hook_names[i], &rust));
		TH_LOG("%s: calls %lu, negative %lu, zero %lu, positive %lu, differ %lu",
		       hook_names[i], bpf.calls, bpf.negative, bpf.zero, bpf.positive, bpf.differ);
		EXPECT_GT(bpf.calls, 0);
		EXPECT_EQ(0, memcmp(&bpf, &rust, sizeof(bpf)))
			TH_LOG("Rust: calls %lu, negative %lu, zero %lu, positive %lu, differ %lu",
			       rust.calls, rust.negative, rust.zero, rust.positive, rust.differ);
	}
	bpf_link__destroy(link);
	mirror__destroy(skel);
}

/* SCHED_BPF_UNLOADS is the number of times. */
TEST_F_TIMEOUT(rust, unloaded_under_load, 600)
{
	const char *times = getenv("SCHED_BPF_UNLOADS");
	int i, n = times ? atoi(times) : 300;
	uint64_t calls = 0;

	ASSERT_EQ(0, mixed_loads_start(self->loads));
	for (i = 0; i < n; i++) {
		LOAD("policy=3");
		if (!(i % 20)) {
			sleep_ms(20);
			calls += calls_of("rust_test", SLICE);
		}
		UNLOAD();
	}
	EXPECT_GT(calls, 0);
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
}

static uint64_t remembered(const char *what)
{
	char path[96];

	snprintf(path, sizeof(path), DEBUGFS MODULE "/%s", what);
	return get_knob(path);
}

static void tasks_come_and_go(int n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static long mem_available(void)
{
	char text[256];
	long kib;

	if (read_file("/proc/meminfo", text, sizeof(text)))
		return -1;
	return sscanf(text, "MemTotal: %*d kB MemFree: %*d kB MemAvailable: %ld kB", &kib) == 1 ?
	       kib : -1;
}

/* 1 KiB each. Those before the first look fill what keeps freed memory. */
TEST_F_TIMEOUT(rust, state_is_freed_with_its_task, 600)
{
	const int n = 8000;
	uint64_t new;
	long lost;

	LOAD("policy=3");
	tasks_come_and_go(n / 2);
	sleep_ms(1000);
	new = remembered("new");
	lost = mem_available();
	tasks_come_and_go(n);
	EXPECT_GE(remembered("new") - new, n);
	sleep_ms(1000);
	lost -= mem_available();
	TH_LOG("%ld KiB less after %d tasks", lost, n);
	EXPECT_LT(lost, n / 2);
	EXPECT_GT(remembered("found"), 0);
	EXPECT_EQ(0, remembered("no_memory"));
}

#define INJECT		DEBUGFS "fail_function/"

/* The functions go on without state, and an ioctl says ENOMEM. */
TEST_F(rust, allocations_fail)
{
	int fd;

	if (write_file(INJECT "inject", "bpf_sched_task_storage_get"))
		SKIP(return, "CONFIG_FAIL_FUNCTION is needed");
	ASSERT_EQ(0, mixed_loads_start(self->loads));
	LOAD("policy=3");
	ASSERT_EQ(0, modprobe_load(HINT, ""));
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, write_file(INJECT "times", "-1"));
	EXPECT_EQ(0, write_file(INJECT "verbose", "0"));
	EXPECT_EQ(0, write_file(INJECT "probability", "100"));
	sleep_ms(300);
	EXPECT_EQ(-1, ioctl(fd, SCHED_HINT_LOCK));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, write_file(INJECT "probability", "0"));
	EXPECT_EQ(0, write_file(INJECT "inject", ""));
	EXPECT_GT(remembered("no_memory"), 0);
	EXPECT_EQ(0, ioctl(fd, SCHED_HINT_LOCK));
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
	close(fd);
}

/* On a debug kernel. It leaves a message in the log, so it has to be asked for. */
TEST_F(rust, sleeping_is_found)
{
	const struct load_attr attr = { .kind = HOG };

	if (!getenv("SCHED_BPF_SLEEP"))
		SKIP(return, "SCHED_BPF_SLEEP is not set");
	kernel_log_forget();
	LOAD("policy=5");
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	sleep_ms(100);
	EXPECT_TRUE(kernel_log_has("sleeping function called from invalid context"));
}

TEST_HARNESS_MAIN
