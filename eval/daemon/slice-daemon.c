// SPDX-License-Identifier: GPL-2.0
/*
 * Set the slice of all threads of a cgroup from user space, or make them SCHED_BATCH, for
 * comparison with a policy that the kernel calls.
 *
 *	slice-daemon CGROUP SLICE_US|batch [PERIOD_MS]
 *
 * The daemon reads cgroup.threads every PERIOD_MS (10 by default) and calls sched_setattr()
 * for each thread that it has not seen in the period before and that has not inherited the
 * setting. SIGTERM or SIGINT resets the threads and ends it; it then prints its own CPU time,
 * the length of its run, and how many threads it has set.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PID_MAX		(4 * 1024 * 1024)	/* PID_MAX_LIMIT of 64-bit kernels */
#define MIN_SLICE_US	100			/* the kernel clamps to these */
#define MAX_SLICE_US	100000

/* The first version of struct sched_attr. */
struct attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

static volatile sig_atomic_t stop;
static uint32_t seen[PID_MAX];	/* the last scan that found this thread */
static uint32_t scan = 1;	/* 0 is no scan */
static unsigned long nr_set;
static int batch;		/* set SCHED_BATCH instead of a slice */

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "slice-daemon: %s: %s\n", what, strerror(errno));
	exit(1);
}

/*
 * Set a fair thread: its slice, where 0 resets it to the default, or its policy, where 0 resets
 * that. A thread that has ended is no error.
 */
static void set_thread(int tid, uint64_t slice_ns)
{
	uint32_t policy = batch && slice_ns ? SCHED_BATCH : SCHED_OTHER;
	struct attr attr = { 0 };

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0)) {
		if (errno != ESRCH)
			die("sched_getattr");
		return;
	}
	if (attr.policy != SCHED_OTHER && attr.policy != SCHED_BATCH)
		return;
	if (batch ? attr.policy == policy : attr.runtime == slice_ns)
		return;

	attr.size = sizeof(attr);
	if (batch)
		attr.policy = policy;
	else
		attr.runtime = slice_ns;
	if (syscall(SYS_sched_setattr, tid, &attr, 0)) {
		if (errno != ESRCH)
			die("sched_setattr");
		return;
	}
	nr_set++;
}

/* Read the file @fd in whole, into a buffer that grows. */
static char *read_all(int fd)
{
	static size_t size = 4096;
	static char *text;
	size_t len = 0;
	ssize_t n;

	if (!text)
		text = malloc(size);
	while (text && (n = pread(fd, text + len, size - len - 1, len)) > 0) {
		len += n;
		if (len == size - 1) {
			size *= 2;
			text = realloc(text, size);
		}
	}
	if (!text || n < 0)
		die("cgroup.threads");

	text[len] = 0;
	return text;
}

/* Set the threads that @fd names, of new ones only unless @all. */
static void scan_threads(int fd, uint64_t slice_ns, int all)
{
	char *at = read_all(fd), *end;
	long tid;

	scan++;
	for (tid = strtol(at, &end, 10); end != at; tid = strtol(at, &end, 10)) {
		at = end;
		if (tid <= 0 || tid >= PID_MAX)
			continue;
		if (all || seen[tid] != scan - 1)
			set_thread(tid, slice_ns);
		seen[tid] = scan;
	}
}

static double seconds_since(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - begin->tv_sec + (now.tv_nsec - begin->tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
	long slice_us = argc > 2 ? atol(argv[2]) : 0, period_ms = argc > 3 ? atol(argv[3]) : 10;
	struct timespec begin, next;
	struct rusage usage;
	char path[4096];
	int fd;

	batch = argc > 2 && !strcmp(argv[2], "batch");
	if (batch)
		slice_us = MIN_SLICE_US;
	if (argc < 3 || argc > 4 || slice_us < MIN_SLICE_US || slice_us > MAX_SLICE_US ||
	    period_ms < 1 || period_ms > 1000) {
		fprintf(stderr, "usage: slice-daemon CGROUP SLICE_US|batch [PERIOD_MS]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/cgroup.threads", argv[1]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);

	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	next = begin;
	while (!stop) {
		scan_threads(fd, slice_us * 1000, 0);
		next.tv_nsec += period_ms * 1000 * 1000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	scan_threads(fd, 0, 1);

	getrusage(RUSAGE_SELF, &usage);
	printf("cpu_ms %.3f run_ms %.0f set %lu\n",
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3,
	       seconds_since(&begin) * 1e3, nr_set);
	return 0;
}
