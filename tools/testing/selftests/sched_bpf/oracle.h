/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Says whether tasks had what they are due: compares what each had of a CPU's time
 * with what the same load had without a policy.
 */
#ifndef SCHED_BPF_SELFTEST_ORACLE_H
#define SCHED_BPF_SELFTEST_ORACLE_H

#include "lib.h"

#define MAX_TASKS	26
#define MAX_SAMPLES	512

/* What tasks have had, read now and then. */
struct trace {
	int nr_tasks, nr_samples;
	pid_t pids[MAX_TASKS];
	uint64_t at[MAX_SAMPLES];
	uint64_t had[MAX_SAMPLES][MAX_TASKS];
};

void trace_begin(struct trace *t, const struct load *loads, int nr);
void trace_sample(struct trace *t);

/*
 * A whole trace of this many milliseconds. step(arg, n) is called at the n-th
 * multiple of STEP_MS in it.
 */
#define STEP_MS		10
void trace_record(struct trace *t, const struct load *loads, int nr, unsigned int ms,
		  void (*step)(void *arg, unsigned int n), void *arg);

/* The task's part of the time, from 0 to 1. */
double trace_share(const struct trace *t, int task);

/*
 * How much more and how much less than @share of the time the task had at most, at any
 * sample, since the trace began, in microseconds: the lag that EEVDF bounds. A task that
 * is served by its share deviates by the same however long it is watched.
 */
struct deviation {
	long more, less;
};

struct deviation trace_deviation(const struct trace *t, int task, double share);

/* What is usual: the share in two runs, and the deviation from it, either way. */
struct usual {
	double share;
	long noise;
};

struct usual trace_usual(const struct trace *t, const struct trace *t2, int task);

/* The length of a tick, by which times are known, in microseconds. */
long tick_us(void);

/* The longest request that may be granted, in microseconds. */
long request_us(void);

/*
 * By how much a deviation is uncertain: three times what is usual without a policy, in
 * the much shorter time that this was watched, as many ticks, and a tenth of a request.
 */
long margin_us(const struct usual *usual);

#endif /* SCHED_BPF_SELFTEST_ORACLE_H */
