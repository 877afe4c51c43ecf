// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>

#include "oracle.h"

#define SAMPLE_STEPS	4	/* from one sample to the next */

void trace_begin(struct trace *t, const struct load *loads, int nr)
{
	int i;

	t->nr_samples = 0;
	t->nr_tasks = nr;
	for (i = 0; i < nr; i++)
		t->pids[i] = loads[i].pid;
}

void trace_sample(struct trace *t)
{
	int i, n = t->nr_samples;

	if (n == MAX_SAMPLES)
		return;
	t->at[n] = now_ns();
	for (i = 0; i < t->nr_tasks; i++)
		t->had[n][i] = cpu_time_ns(t->pids[i]);
	t->nr_samples++;
}

void trace_record(struct trace *t, const struct load *loads, int nr, unsigned int ms,
		  void (*step)(void *arg, unsigned int n), void *arg)
{
	uint64_t at = now_ns();
	struct timespec ts;
	unsigned int n;

	trace_begin(t, loads, nr);
	for (n = 0; n <= ms / STEP_MS; n++) {
		ts.tv_sec = at / NSEC_PER_SEC;
		ts.tv_nsec = at % NSEC_PER_SEC;
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
			;
		if (step)
			step(arg, n);
		if (n % SAMPLE_STEPS == 0)
			trace_sample(t);
		at += STEP_MS * NSEC_PER_MSEC;
	}
}

double trace_share(const struct trace *t, int task)
{
	int last = t->nr_samples - 1;

	return (double)(t->had[last][task] - t->had[0][task]) / (t->at[last] - t->at[0]);
}

struct deviation trace_deviation(const struct trace *t, int task, double share)
{
	double now, low = 0, high = 0;
	int i;

	for (i = 0; i < t->nr_samples; i++) {
		now = t->had[i][task] - t->had[0][task] - share * (t->at[i] - t->at[0]);
		low = now < low ? now : low;
		high = now > high ? now : high;
	}

	return (struct deviation){ .more = high / 1000, .less = -low / 1000 };
}

struct usual trace_usual(const struct trace *t, const struct trace *t2, int task)
{
	const struct trace *traces[2] = { t, t2 };
	struct usual usual = {
		.share = (trace_share(t, task) + trace_share(t2, task)) / 2,
	};
	struct deviation d;
	int i;

	for (i = 0; i < 2; i++) {
		d = trace_deviation(traces[i], task, usual.share);
		usual.noise = d.more > usual.noise ? d.more : usual.noise;
		usual.noise = d.less > usual.noise ? d.less : usual.noise;
	}
	return usual;
}

long tick_us(void)
{
	struct timespec ts;

	return clock_getres(CLOCK_MONOTONIC_COARSE, &ts) ? 0 : ts.tv_nsec / 1000;
}

long request_us(void)
{
	return get_knob("max_slice_ns") / 1000;
}

long margin_us(const struct usual *usual)
{
	return 3 * (usual->noise + tick_us()) + request_us() / 10;
}
