// SPDX-License-Identifier: GPL-2.0
/*
 * What hints about locks are worth: threads of a program that share a pthread mutex, next to a
 * hog on the same CPU. The program knows nothing of hints. A library that is preloaded gives
 * those of rust_sched_hint, or requests rseq slice extensions. Figures are repeatable in a
 * machine whose time counts instructions.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib.h"

#define HINT		"rust_sched_hint"
#define RSEQ_NS		"/sys/kernel/debug/rseq/slice_ext_nsec"

#define THREADS		4
#define RUN_NS		(2 * NSEC_PER_SEC)
#define PAIRS		20000
#define MAX_ROUNDS	1000000

/* What a run of the program tells. A round is a lock, some work and an unlock. */
struct result {
	double rounds;		/* per second */
	double p99, max;	/* of the time of a round, us */
	double share;		/* of the CPU, percent */
	double pair;		/* a lock and an unlock of a mutex that is free, ns */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint32_t rounds[MAX_ROUNDS];
static unsigned long nr_rounds, section;
static uint64_t end;

static void work(unsigned long loops)
{
	while (loops--)
		asm volatile("");
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* As much work inside of the lock as outside. */
static void *lock_and_unlock(void *arg)
{
	unsigned long i;
	uint64_t start;

	while ((start = now_ns()) < end) {
		pthread_mutex_lock(&mutex);
		work(section);
		pthread_mutex_unlock(&mutex);
		i = __atomic_fetch_add(&nr_rounds, 1, __ATOMIC_RELAXED);
		if (i < MAX_ROUNDS)
			rounds[i] = now_ns() - start;
		work(section);
	}
	return arg;
}

static int longer(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* bench_hint US: the program, with this much work in a round. Print its result. */
static int program(unsigned long us)
{
	const unsigned long loops = 1000000;
	pthread_t threads[THREADS];
	uint64_t ns, pair, cpu;
	int i;

	ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	work(loops);
	ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns;
	section = us * 1000 * loops / ns;

	pair = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; i < PAIRS; i++) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
	pair = clock_ns(CLOCK_THREAD_CPUTIME_ID) - pair;

	end = now_ns() + RUN_NS;
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, lock_and_unlock, NULL))
			return 1;
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;

	if (!nr_rounds || nr_rounds > MAX_ROUNDS)
		return 1;
	qsort(rounds, nr_rounds, sizeof(*rounds), longer);
	printf("%f %f %f %f %f\n", (double)nr_rounds * NSEC_PER_SEC / RUN_NS,
	       rounds[nr_rounds * 99 / 100] / 1e3, rounds[nr_rounds - 1] / 1e3,
	       100.0 * cpu / RUN_NS, (double)pair / PAIRS);
	return 0;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Run the program next to a hog, and print a row of the table. */
static void measure(const char *what, const char *preload, int us)
{
	const struct load_attr attr = { .kind = HOG };
	char command[2 * PATH_MAX + 64];
	struct load hog = {};
	struct result r;
	FILE *out;
	int n;

	n = snprintf(command, sizeof(command), "taskset -c %d env LD_PRELOAD=%s ", LOAD_CPU,
		     preload ? beside(preload) : "");
	snprintf(command + n, sizeof(command) - n, "%s %d", beside("bench_hint"), us);
	if (load_start(&hog, &attr))
		fail("hog");
	hog.stats->max_gap_ns = 0;
	out = popen(command, "re");
	if (!out)
		fail(command);
	n = fscanf(out, "%lf %lf %lf %lf %lf", &r.rounds, &r.p99, &r.max, &r.share, &r.pair);
	if (pclose(out) || n != 5) {
		fprintf(stderr, "%s: no result\n", command);
		exit(1);
	}
	printf("%4d  %-26s %8.0f %8.0f %8.0f %6.1f %9.1f %8.0f\n", us, what, r.rounds, r.p99,
	       r.max, r.share, hog.stats->max_gap_ns / 1e6, r.pair);
	load_stop(&hog);
}

static void measure_hint(int us)
{
	if (modprobe_load(HINT, ""))
		fail(HINT);
	measure(HINT, HINT "_preload.so", us);
	module_unload(HINT);
}

static void measure_rseq(int us, uint64_t ns)
{
	char what[32];

	if (set_knob(RSEQ_NS, ns)) {
		printf("%4d  %-26s not built\n", us, "rseq");
		return;
	}
	snprintf(what, sizeof(what), "rseq, %lu us", ns / 1000);
	measure(what, "rseq_preload.so", us);
}

int main(int argc, char *argv[])
{
	static const int lengths[] = { 20, 300 };
	int i;

	if (argc == 2)
		return program(atoi(argv[1]));
	setlinebuf(stdout);
	if (!setup_cpus())
		fail("two CPUs are needed");
	printf("%4s  %-26s %8s %8s %8s %6s %9s %8s\n", "work", "hints", "rounds", "p99",
	       "longest", "CPU", "hog waits", "mutex");
	printf("%4s  %-26s %8s %8s %8s %6s %9s %8s\n", "us", "", "per s", "us", "us", "%", "ms",
	       "ns");
	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		measure("none", NULL, lengths[i]);
		measure_hint(lengths[i]);
		measure_rseq(lengths[i], 5000);
		measure_rseq(lengths[i], 50000);
	}
	return 0;
}
