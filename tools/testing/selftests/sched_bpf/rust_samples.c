// SPDX-License-Identifier: GPL-2.0
/* The policies of samples/rust. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../../samples/rust/rust_sched_hint.h"
#include "../kselftest_harness.h"
#include "lib.h"
#include "policy.h"

#define HINT		"rust_sched_hint"
#define LATENCY		"rust_sched_latency"
#define DEVICE		"/dev/sched_hint"
#define HOLD_US		"/sys/kernel/debug/" HINT "/hold_us"
#define TICK		"cfs_check_preempt_tick"

FIXTURE(rust_samples) {
	struct load hog;
};

FIXTURE_SETUP(rust_samples)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	if (access(beside("sched_bpf_test.ko"), R_OK))
		SKIP(return, "built for a kernel without CONFIG_RUST_BPF_SCHED");
}

FIXTURE_TEARDOWN(rust_samples)
{
	load_stop(&self->hog);
	module_unload(HINT);
	module_unload(LATENCY);
}

TEST_F(rust_samples, hints_are_checked)
{
	int fd, i;

	ASSERT_EQ(0, modprobe_load(HINT, ""));
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, ioctl(fd, SCHED_HINT_WORK, 1000000));
	EXPECT_TRUE(ioctl(fd, SCHED_HINT_WORK, 1000001) && errno == EINVAL);
	EXPECT_TRUE(ioctl(fd, SCHED_HINT_WORK, -1L) && errno == EINVAL);
	EXPECT_TRUE(ioctl(fd, SCHED_HINT_UNLOCK) && errno == EINVAL);
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, ioctl(fd, SCHED_HINT_LOCK));
	EXPECT_TRUE(ioctl(fd, SCHED_HINT_LOCK) && errno == EAGAIN);
	EXPECT_TRUE(ioctl(fd, _IO('|', 0x93)) && errno == ENOTTY);
	/* An open device keeps the module. */
	EXPECT_EQ(-EWOULDBLOCK, module_unload(HINT));
	close(fd);
}

enum lie { NONE, CUSTOM_SLICE, HINTS };

struct gaps {
	uint64_t share, max_gap;	/* percent; of the other task */
};

/* What is left for a hog next to an unprivileged one that tries to keep the CPU. */
static struct gaps next_to_liar(enum lie lie, struct load *other)
{
	const struct load_attr attr = { .kind = HOG };
	uint64_t before, liars;
	struct gaps gaps = {};
	pid_t pid = fork();
	cpu_set_t cpus;
	int fd;

	if (!pid) {
		struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio;
			 uint64_t runtime, deadline, period; } custom = {
			.size = sizeof(custom), .runtime = 100 * NSEC_PER_MSEC,
		};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CPU_ZERO(&cpus);
		CPU_SET(LOAD_CPU, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus) || setresuid(65534, 65534, 65534))
			_exit(1);
		if (lie == CUSTOM_SLICE && syscall(SYS_sched_setattr, 0, &custom, 0))
			_exit(1);
		fd = lie == HINTS ? open(DEVICE, O_RDWR) : -1;
		if (fd >= 0 && ioctl(fd, SCHED_HINT_WORK, 1000000))
			_exit(1);
		for (;;) {
			if (fd >= 0)
				ioctl(fd, SCHED_HINT_LOCK);
		}
	}
	load_start(other, &attr);
	sleep_ms(200);
	other->stats->max_gap_ns = 0;
	before = cpu_time_ns(other->pid);
	liars = cpu_time_ns(pid);
	sleep_ms(3000);
	before = cpu_time_ns(other->pid) - before;
	liars = cpu_time_ns(pid) - liars;
	gaps.max_gap = other->stats->max_gap_ns;
	gaps.share = before * 100 / (before + liars ?: 1);
	load_stop(other);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return gaps;
}

/*
 * A length of work shifts no more than a custom slice, and a lock hold_us and a tick more.
 * Shares are the same. Another tick is for the noise of the machine.
 */
TEST_F_TIMEOUT(rust_samples, hints_are_bounded, 60)
{
	const uint64_t tick = NSEC_PER_MSEC, hold = 3 * NSEC_PER_MSEC;
	struct gaps stock, custom, work, lock;

	ASSERT_EQ(0, modprobe_load(HINT, ""));
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	stock = next_to_liar(NONE, &self->hog);
	custom = next_to_liar(CUSTOM_SLICE, &self->hog);
	ASSERT_EQ(0, set_knob(HOLD_US, 0));
	work = next_to_liar(HINTS, &self->hog);
	ASSERT_EQ(0, set_knob(HOLD_US, hold / 1000));
	lock = next_to_liar(HINTS, &self->hog);
	TH_LOG("share: stock %lu, custom slice %lu, work %lu, lock %lu %%",
	       stock.share, custom.share, work.share, lock.share);
	TH_LOG("longest wait: stock %lu, custom slice %lu, work %lu, lock %lu us",
	       stock.max_gap / 1000, custom.max_gap / 1000, work.max_gap / 1000,
	       lock.max_gap / 1000);
	EXPECT_GT(calls_of("hint", TICK), 0);
	EXPECT_GE(work.share, 45);
	EXPECT_LE(work.max_gap, custom.max_gap + tick);
	EXPECT_GE(lock.share, 45);
	EXPECT_LE(lock.max_gap, custom.max_gap + hold + 2 * tick);
}

/* The program of bench_hint has threads with a mutex, and knows nothing of hints. */
TEST_F(rust_samples, mutexes_give_hints)
{
	const struct load_attr attr = { .kind = HOG };
	char command[2 * PATH_MAX + 64];
	struct counters c;
	int len;

	ASSERT_EQ(0, modprobe_load(HINT, ""));
	ASSERT_EQ(0, load_start(&self->hog, &attr));
	len = snprintf(command, sizeof(command), "taskset -c %d env LD_PRELOAD=%s ", LOAD_CPU,
		       beside(HINT "_preload.so"));
	snprintf(command + len, sizeof(command) - len, "%s 100 >/dev/null", beside("bench_hint"));
	EXPECT_EQ(0, system(command));
	ASSERT_EQ(0, read_counters("hint", TICK, &c));
	TH_LOG("ticks %lu, of which extended %lu", c.calls, c.negative);
	EXPECT_GT(c.negative, 10);
}

TEST_F(rust_samples, latency_is_prompter)
{
	struct rounds stock, with;
	int tries = 3;

	do {
		stock = sleeper_rounds(NULL, MAX_HOGS, 0);
		ASSERT_EQ(0, modprobe_load(LATENCY, ""));
		with = sleeper_rounds(NULL, MAX_HOGS, 0);
		ASSERT_EQ(0, module_unload(LATENCY));
		TH_LOG("late: stock %lu of %lu, with %lu of %lu", stock.late, stock.all,
		       with.late, with.all);
	} while (!is_prompter(with, stock) && --tries);
	EXPECT_GT(tries, 0);
}

TEST_HARNESS_MAIN
