/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SCHED_BPF_SELFTEST_PLACEMENT_H
#define SCHED_BPF_SELFTEST_PLACEMENT_H

/* How a CPU is selected for the tasks of the test. */
enum place {
	NAMED,		/* by the answer that is set */
	OTHER,		/* never where the task was */
	ANY,		/* at random, some of them none */
};

/* What is known of CPUs, as the kfuncs say it. */
struct cpu_view {
	int is_idle, nr_runnable, capacity, node, share_cache;
};

#endif
