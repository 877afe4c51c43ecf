/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by fairness.bpf.c and fairness.c. */

/* What a policy says of a task. */
struct opinion {
	int tick;	/* should its request go on? */
	int runs;	/* may another task preempt it? */
	int wakes;	/* may it preempt, if nothing is said of the other? */
	int slice;	/* the size of its requests */
};

/* How its opinions become answers. */
enum mode {
	AS_IT_IS,
	ALTERNATING,	/* every second time the opposite of it */
	RANDOM,		/* none of them counts */
};
