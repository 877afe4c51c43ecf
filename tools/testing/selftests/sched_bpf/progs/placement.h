/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SCHED_BPF_SELFTEST_PLACEMENT_H
#define SCHED_BPF_SELFTEST_PLACEMENT_H

/* How a CPU is selected for the tasks of the test. */
enum place {
	NAMED,		/* by select_answer */
	OTHER,		/* never the previous one */
	ANY,		/* at random, some of them none */
};

#endif
