// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever hooks return, tasks get their share of the CPU. Each load runs without a
 * policy first, and then with hostile ones. At any time since the policy was attached
 * the CPU time of a task must not differ from its share without a policy by more than
 * the bound of EEVDF, the longest slice and a tick. Where it does, the control decides:
 * the same load without a policy, with the slices that the policy asks for set by
 * sched_setattr(). Soon after a policy is detached, windows of time are as before.
 *
 * A few policies are tried on each load, other ones on the next; all of them on all
 * with SCHED_BPF_ORACLE=full, and one on all with its name there.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "progs/fairness.h"
#include "fairness.skel.h"
#include "lib.h"
#include "oracle.h"
#include "policy.h"

#define AUTOGROUP	"/proc/sys/kernel/sched_autogroup_enabled"

/* Milliseconds */
#define WARMUP		250	/* until averages of the load have settled */
#define STOCK		1000	/* twice */
#define HOSTILE		1600
#define RANDOMLY	6400	/* what is for a task as often as against it adds up slowly */
#define AFTER		500
#define TWO_REQUESTS	250	/* until AFTER, at least */
#define MAX_SETTLE	1000	/* and at most */

#define STARVED		.01	/* a share of the time */

#define MIN_SLICE	100000
#define MAX_SLICE	100000000
#define CHANGE_SLICE	20000000

#define EVERYBODY(...)	.one = { __VA_ARGS__ }, .others = { __VA_ARGS__ }

enum { EXTEND_ONE, KEEP_ONE, KEEP_ALL, NR_KEEP };

static const struct policy_attr {
	const char *name;
	struct opinion one, others;
	enum mode mode;
} policies[] = {
	/* One of these is tried on each load. */
	[EXTEND_ONE] = { "extend one", .one = { .tick = -1 } },
	[KEEP_ONE] = { "keep one", .one = { .tick = -1, .runs = -1 } },
	[KEEP_ALL] = { "keep all", EVERYBODY(.tick = -1, .runs = -1) },
	/* Some of these. */
	{ "favour one", .one = { .tick = -1, .runs = -1, .wakes = 2, .slice = MAX_SLICE },
			.others = { .tick = 1, .wakes = -1, .slice = MIN_SLICE } },
	{ "against one", .one = { .tick = 1, .runs = 2, .wakes = -1, .slice = MIN_SLICE },
			 .others = { .tick = -1, .runs = -1, .slice = MAX_SLICE } },
	{ "preempt", EVERYBODY(.wakes = 1) },
	{ "preempt now", EVERYBODY(.wakes = 2) },
	{ "end", EVERYBODY(.tick = 1) },
	{ "random", .mode = RANDOM },
	{ "alternating", EVERYBODY(.tick = -1, .wakes = 1, .slice = MAX_SLICE),
			 .mode = ALTERNATING },
	{ "large slices", EVERYBODY(.slice = MAX_SLICE) },
	{ "small slices", EVERYBODY(.slice = MIN_SLICE) },
	{ "one large slice", .one = { .slice = MAX_SLICE } },
	{ "overtake one", .one = { .slice = MAX_SLICE },
			  .others = { .tick = -1, .runs = -1, .slice = MIN_SLICE } },
};

#define NR_POLICIES	ARRAY_SIZE(policies)
#define NR_SOME		2

static bool is_tried(unsigned int scenario, bool randomly, bool weighted, unsigned int policy)
{
	const char *env = getenv("SCHED_BPF_ORACLE");
	unsigned int first = NR_SOME * scenario % (NR_POLICIES - NR_KEEP);

	if (env)
		return !strcmp(env, "full") || !strcmp(env, policies[policy].name);
	if (policy < NR_KEEP)
		return policy == scenario % NR_KEEP || (weighted && policy == KEEP_ALL);
	if (randomly && policies[policy].mode == RANDOM)
		return true;
	policy -= NR_KEEP;
	return policy >= first && policy < first + NR_SOME;
}

/* What all tests have found: each runs in a process of its own. */
static struct {
	unsigned int nr_scenarios;
	struct {
		unsigned int tried, failed;
		struct deviation_of {
			long us, allowed;
			const char *scenario;
			int task;
		} worst;
	} policies[NR_POLICIES];
} *found;

static __attribute__((constructor)) void share_what_is_found(void)
{
	found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
}

/* Which deviations from the share of a task are judged. */
enum judged {
	BOTH,
	LEAST,		/* less than that, or than a given share: others may want less */
	MOST,		/* more than that */
	NEITHER,	/* it sleeps, and so may have the less the longer it waits */
};

struct row {
	int nr;			/* of such tasks, zero ends the table */
	struct load_attr load;
	int group;		/* from 1, zero is the root */
	enum judged judged;
	int percent;		/* of the time, for LEAST */
};

struct group {
	int parent;		/* from 1, zero is the root */
	bool is_parent;
	const char *weight;
	const char *max;
};

/*
 * What the test does to the first task, again and again. Without the waker, see
 * start_waker(): EEVDF moves the virtual time when a task comes and goes that is owed
 * much, as one that waited for the end of a long request. That is the same for all while
 * weights and tasks are. If they change meanwhile it is not, with or without a policy:
 * slices of 100 ms by sched_setattr() and a waker in SCHED_BATCH do the same. Threads of
 * the kernel are wakers too. Who is moved away before one of them runs, and is back before it
 * wakes up, loses a part of what that is owed, each time. So the times of changes are
 * irregular, as a kworker in step with them took 200 ms in 1.6 s; and requests are at most
 * CHANGE_SLICE long, so that luck has less of what is allowed.
 */
enum change {
	NOTHING,
	MOVE,			/* to the other CPU and back */
	RENICE,			/* to -5, 0, 5 */
	REGROUP,		/* between the first two groups */
};

#define MAX_ROWS	6
#define MAX_GROUPS	4

#define RUNS(run_us, sleep_us)							\
	.kind = SLEEPER, .work_ns = (run_us) * 1000, .sleep_ns = (sleep_us) * 1000

/* Changes the weight that its group has on the other CPU. */
#define FLICKER(run_us, sleep_us)						\
	.nr = 1, .judged = NEITHER,						\
	.load = { RUNS(run_us, sleep_us), .on_test_cpu = true }

FIXTURE(fairness) {
	const FIXTURE_VARIANT(fairness) *variant;
	struct fairness *skel;
	char groups[MAX_GROUPS][300], autogroup[8];
	const struct row *rows[MAX_TASKS];
	struct load loads[MAX_TASKS + 1];
	int nr_tasks;
	struct trace stock[2], trace;
	struct usual usual[MAX_TASKS];
	uint64_t max_slice;
	uint64_t one_slice, other_slice;	/* of the control, 0: the base slice */
	bool batch_waker;			/* of the control: it does not preempt */
	unsigned int next_change, nr_changes, seed;
};

/* The first task of the first row is "one" to the policies. */
FIXTURE_VARIANT(fairness) {
	const char *name;
	struct group groups[MAX_GROUPS];
	struct row rows[MAX_ROWS];
	enum change change;
	unsigned int every_ms;	/* on average */
	bool cookies;		/* each task has one of its own */
	bool no_waker;		/* see start_waker() */
	bool everywhere;	/* policies have opinions of both CPUs */
	bool randomly;		/* random answers are one of the policies tried */
	bool weighted;		/* keeping all is: light tasks may pass over a heavy one */
	bool autogroup;		/* the tasks of the root are in one of their own */
};

#define SCENARIO(id, ...)							\
	FIXTURE_VARIANT_ADD(fairness, id) { .name = #id, __VA_ARGS__ }

SCENARIO(two_hogs,
	.rows = { { .nr = 2 } },
);

/* Their weights change whenever the task beside them wakes up or goes to sleep. */
SCENARIO(autogroup,
	.rows = { { .nr = 2 } },
	.autogroup = true,
);

SCENARIO(eight_hogs,
	.rows = { { .nr = 8 } },
);

SCENARIO(crowd,
	.rows = { { .nr = 25 } },
);

SCENARIO(flicker,
	.groups = { { .weight = "100" }, { .weight = "100" } },
	.rows = {
		{ .nr = 1, .group = 1 }, { .nr = 1, .group = 2 },
		{ FLICKER(20000, 20000), .group = 1 },
	},
);

SCENARIO(fast_flicker,
	.groups = { { .weight = "100" }, { .weight = "100" } },
	.rows = {
		{ .nr = 1, .group = 1 }, { .nr = 1, .group = 2 },
		{ FLICKER(300, 300), .group = 1 },
	},
);

SCENARIO(slow_flicker,
	.groups = { { .weight = "100" }, { .weight = "100" } },
	.rows = {
		{ .nr = 1, .group = 1 }, { .nr = 1, .group = 2 },
		{ FLICKER(50000, 50000), .group = 1 },
	},
);

SCENARIO(much_flicker,
	.groups = { { .weight = "100" }, { .weight = "100" } },
	.rows = {
		{ .nr = 1, .group = 1 }, { .nr = 2, .group = 2 },
		{ FLICKER(20000, 20000), .group = 1 },
		{ FLICKER(3000, 9000), .group = 1 },
		{ FLICKER(11000, 17000), .group = 2 },
	},
);

SCENARIO(nested,
	.groups = {
		{ .is_parent = true }, { .parent = 1 }, { .parent = 1, .weight = "300" }, {},
	},
	.rows = {
		{ .nr = 1, .group = 2 }, { .nr = 1, .group = 3 }, { .nr = 1, .group = 4 },
		{ FLICKER(20000, 20000), .group = 2 },
	},
);

SCENARIO(ten_to_one,
	.groups = { { .weight = "1000" }, { .weight = "100" } },
	.rows = { { .nr = 1, .group = 1 }, { .nr = 1, .group = 2 } },
);

SCENARIO(one_to_hundred,
	.groups = { { .weight = "100" }, { .weight = "10000" } },
	.rows = { { .nr = 1, .group = 1 }, { .nr = 1, .group = 2 } },
);

SCENARIO(nice,
	.rows = {
		{ .nr = 1, .load.nice = 5 }, { .nr = 1 }, { .nr = 1, .load.nice = -5 },
	},
);

/* What is little for those who are kept is much for who waits. */
SCENARIO(heavy,
	.rows = { { .nr = 1, .load.nice = -5 }, { .nr = 6, .load.nice = 5 } },
	.weighted = true,
);

/*
 * It goes to sleep with a debt, and is back soon. What random answers took from the other one
 * added up over seconds.
 */
SCENARIO(debtor,
	.rows = {
		{ .nr = 1, .load = { RUNS(30000, 3000) }, .judged = NEITHER },
		{ .nr = 1, .judged = LEAST, .percent = 50 },
	},
	.randomly = true,
);

SCENARIO(sleepers,
	.rows = {
		{ .nr = 2, .load = { RUNS(5000, 5000) }, .judged = NEITHER },
		{ .nr = 2, .judged = LEAST, .percent = 25 },
	},
);

/*
 * A task pays its debts where it is: what it had too much of one CPU it pays to the
 * tasks of the next. So only its own account is judged.
 */
SCENARIO(moved,
	.rows = {
		{ .nr = 1 }, { .nr = 1, .judged = NEITHER },
		{ .nr = 1, .load.on_test_cpu = true, .judged = NEITHER },
	},
	.change = MOVE, .every_ms = 30, .everywhere = true, .no_waker = true,
);

SCENARIO(reniced,
	.rows = { { .nr = 3 } },
	.change = RENICE, .every_ms = 20, .no_waker = true,
);

SCENARIO(regrouped,
	.groups = { { .weight = "100" }, { .weight = "200" } },
	.rows = { { .nr = 2, .group = 1 }, { .nr = 1, .group = 2 } },
	.change = REGROUP, .every_ms = 30, .no_waker = true,
);

SCENARIO(classes,
	.rows = {
		{ .nr = 1, .load.policy = SCHED_BATCH }, { .nr = 2 },
		{ .nr = 1, .load.policy = SCHED_IDLE },
	},
);

/* What of a quota is not used in its period is lost. */
SCENARIO(throttled,
	.groups = { { .max = "30000 100000" } },
	.rows = {
		{ .nr = 1, .group = 1, .judged = MOST },
		{ .nr = 1, .judged = LEAST, .percent = 100 },
	},
);

/*
 * Only one of them runs on the two CPUs of a core. Core scheduling gives no certain share
 * while a task without a cookie comes and goes, as this test does: the third has 8 to 33 % on
 * stock. So it is only checked that none starves.
 */
SCENARIO(core,
	.rows = {
		{ .nr = 2, .judged = NEITHER },
		{ .nr = 1, .load.on_test_cpu = true, .judged = NEITHER },
	},
	.cookies = true, .everywhere = true,
);

/* It sleeps before it had what it is owed, and does not preempt. */
SCENARIO(blocker,
	.rows = {
		{ .nr = 1, .judged = NEITHER },
		{ .nr = 1, .load = { RUNS(5000, 1000), .policy = SCHED_BATCH },
		  .judged = LEAST, .percent = 30 },
	},
);

/* As nothing the loads do delays it, its samples and changes come in time. */
static int become_urgent(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) ? -errno : 0;
}

static int write_in(const char *dir, const char *file, const char *text)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return write_file(path, text);
}

static int make_groups(const struct group *groups, char paths[][300])
{
	const char *parent;
	char name[16];
	int i, err;

	err = write_file(CGROUP_CONTROL, "+cpu");
	for (i = 0; i < MAX_GROUPS && !err; i++) {
		const struct group *g = &groups[i];

		parent = g->parent ? paths[g->parent - 1] : NULL;
		snprintf(name, sizeof(name), "fairness%d", i);
		err = cgroup_make(parent, name, paths[i], 300);
		if (!err && g->is_parent)
			err = write_in(paths[i], "cgroup.subtree_control", "+cpu");
		if (!err && g->weight)
			err = write_in(paths[i], "cpu.weight", g->weight);
		if (!err && g->max)
			err = write_in(paths[i], "cpu.max", g->max);
	}
	return err;
}

static void remove_groups(char paths[][300])
{
	int i;

	for (i = MAX_GROUPS; i--; )
		cgroup_remove(paths[i]);
	write_file(CGROUP_CONTROL, "-cpu");
}

FIXTURE_SETUP(fairness)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->variant = variant;
	self->skel = fairness__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->max_slice = get_knob("max_slice_ns");
	ASSERT_EQ(0, set_knob("max_slice_ns",
			      variant->change == NOTHING ? MAX_SLICE : CHANGE_SLICE));
	ASSERT_GT(request_us(), 0);
	ASSERT_EQ(0, make_groups(variant->groups, self->groups));
	/* Not there if the kernel does not have it. */
	if (!read_file(AUTOGROUP, self->autogroup, sizeof(self->autogroup)))
		ASSERT_EQ(0, write_file(AUTOGROUP, variant->autogroup ? "1" : "0"));
	ASSERT_EQ(0, become_urgent());
}

static void stop_loads(struct load *loads, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		load_stop(&loads[i]);
}

FIXTURE_TEARDOWN(fairness)
{
	stop_loads(self->loads, MAX_TASKS + 1);
	fairness__destroy(self->skel);
	set_knob("max_slice_ns", self->max_slice);
	remove_groups(self->groups);
	write_file(AUTOGROUP, self->autogroup);
}

/*
 * Beside the tasks of a scenario one wakes up now and then, as on any CPU: there are
 * questions about wakeups too. What it takes of the time is a fraction of a percent. It
 * is in an autogroup of its own: see enum change for why weights must not change whenever
 * it comes and goes.
 */
static int start_waker(struct load *load, bool preempts)
{
	const struct load_attr attr = { RUNS(10, 4000), .new_session = true,
					.policy = preempts ? SCHED_OTHER : SCHED_BATCH };

	return load_start(load, &attr);
}

static int start_loads(FIXTURE_DATA(fairness) *self)
{
	const struct row *row = self->variant->rows;
	int i, n, err = 0;

	self->nr_tasks = 0;
	for (i = 0; i < MAX_ROWS && row->nr; i++, row++) {
		struct load_attr attr = row->load;

		attr.cgroup = row->group ? self->groups[row->group - 1] : CGROUP_ROOT;
		for (n = 0; n < row->nr && !err; n++) {
			self->rows[self->nr_tasks] = row;
			attr.slice_ns = self->nr_tasks ? self->other_slice : self->one_slice;
			err = load_start(&self->loads[self->nr_tasks], &attr);
			if (!err && self->variant->cookies)
				err = load_make_cookie(&self->loads[self->nr_tasks]);
			self->nr_tasks++;
		}
	}
	if (!err && !self->variant->no_waker)
		err = start_waker(&self->loads[self->nr_tasks], !self->batch_waker);
	sleep_ms(WARMUP);
	return err;
}

static void change_one(void *arg, unsigned int step)
{
	FIXTURE_DATA(fairness) *self = arg;
	const struct load *one = &self->loads[0];
	unsigned int every = self->variant->every_ms / STEP_MS, n;

	if (!every || step < self->next_change)
		return;
	self->next_change = step + every / 2 + rand_r(&self->seed) % (every + 1);
	n = self->nr_changes++;
	switch (self->variant->change) {
	case MOVE:
		load_move_to_cpu(one, n % 2 ? TEST_CPU : LOAD_CPU);
		break;
	case RENICE:
		setpriority(PRIO_PROCESS, one->pid, 5 * ((int)(n % 3) - 1));
		break;
	case REGROUP:
		load_move_to_cgroup(one, self->groups[n % 2]);
		break;
	default:
		break;
	}
}

static void record(FIXTURE_DATA(fairness) *self, struct trace *trace, unsigned int ms)
{
	self->next_change = 0;
	trace_record(trace, self->loads, self->nr_tasks, ms, change_one, self);
}

/* The deviation that is furthest beyond what is allowed, or closest to it. */
static struct deviation_of judge(const FIXTURE_DATA(fairness) *self, long allowed_us)
{
	struct deviation_of worst = { .scenario = self->variant->name };
	int i;

	for (i = 0; i < self->nr_tasks; i++) {
		const struct row *row = self->rows[i];
		long us = 0, allowed = allowed_us + margin_us(&self->usual[i]);
		double share = self->usual[i].share;
		struct deviation d;

		if (row->judged == NEITHER)
			continue;
		if (row->judged == LEAST && share > row->percent / 100.)
			share = row->percent / 100.;
		d = trace_deviation(&self->trace, i, share);
		if (row->judged != LEAST)
			us = d.more;
		if (row->judged != MOST && d.less > us)
			us = d.less;
		if (!worst.allowed || us - allowed > worst.us - worst.allowed) {
			worst.us = us;
			worst.allowed = allowed;
			worst.task = i;
		}
	}
	return worst;
}

/*
 * The debt that a policy leaves behind is paid by the debtor's share of the time:
 * what of it may be left after this long, by who pays most slowly.
 */
static long debt_left(const FIXTURE_DATA(fairness) *self, unsigned int *settle)
{
	long request = request_us(), left;
	bool sleeps = false;
	double share = 1;
	int i;

	for (i = 0; i < self->nr_tasks; i++) {
		if (self->rows[i]->judged != NEITHER && self->usual[i].share < share)
			share = self->usual[i].share;
		sleeps |= self->rows[i]->load.kind == SLEEPER && !self->rows[i]->load.on_test_cpu;
	}
	/* The request that is being served goes on to its end. */
	*settle = (request + request / share) / 1000;
	if (*settle < TWO_REQUESTS)
		*settle = TWO_REQUESTS;
	if (*settle > MAX_SETTLE)
		*settle = MAX_SETTLE;
	/* Who sleeps claims what it is owed when it wakes up. */
	left = sleeps ? request : request - share * (*settle * 1000 - request);
	return left > 0 ? left : 0;
}

/* Answers other than "no opinion". */
static uint64_t opinions(void)
{
	struct counters c;
	uint64_t sum = 0;
	int i;

	for (i = 0; i < NR_HOOKS; i++) {
		if (!read_counters("hostile", hook_names[i], &c))
			sum += c.negative + c.positive;
	}
	return sum;
}

static struct bpf_link *attach(struct fairness *skel, const struct policy_attr *policy,
			       pid_t one, bool everywhere)
{
	skel->bss->one = policy->one;
	skel->bss->others = policy->others;
	skel->bss->mode = policy->mode;
	skel->bss->tgid = one;
	skel->bss->cpu = LOAD_CPU;
	skel->bss->everywhere = everywhere;
	return attach_root(skel->maps.hostile);
}

/*
 * For how long a task may be where it has no share, or another than on average: what it
 * has there is a debt, and what it is owed is judged by the weights that others have had.
 */
static long between_changes_us(const FIXTURE_DATA(fairness) *self)
{
	enum change change = self->variant->change;

	return change == MOVE || change == REGROUP ? self->variant->every_ms * 1500 : 0;
}

/* The slice that has the effect which a policy of this opinion wants, 0: the base slice. */
static uint64_t control_slice(const struct opinion *opinion, enum mode mode)
{
	uint64_t max = request_us() * 1000;

	if (mode != AS_IT_IS || opinion->tick < 0)
		return max;
	return opinion->slice < max ? opinion->slice : max;
}

/* The deviation on stock with the slices of the policy, in microseconds. */
static long control_us(struct __test_metadata *_metadata, FIXTURE_DATA(fairness) *self,
		       const struct policy_attr *policy)
{
	struct deviation_of control;

	self->one_slice = control_slice(&policy->one, policy->mode);
	self->other_slice = control_slice(&policy->others, policy->mode);
	self->batch_waker = policy->one.runs < 0 || policy->others.runs < 0;
	EXPECT_EQ(0, start_loads(self));
	record(self, &self->trace, policy->mode == RANDOM ? RANDOMLY : HOSTILE);
	stop_loads(self->loads, MAX_TASKS + 1);
	self->one_slice = 0;
	self->other_slice = 0;
	self->batch_waker = false;

	control = judge(self, request_us() + tick_us() + between_changes_us(self));
	TH_LOG("%s, %s: control %ld of %ld ms (task %d)", self->variant->name, policy->name,
	       control.us / 1000, control.allowed / 1000, control.task);
	return control.us;
}

static void note(unsigned int policy, const struct deviation_of *d)
{
	struct deviation_of *worst = &found->policies[policy].worst;

	found->policies[policy].tried++;
	found->policies[policy].failed += d->us > d->allowed;
	/* Where no share is judged there is nothing to compare. */
	if (d->allowed && (!worst->scenario || d->us - d->allowed > worst->us - worst->allowed))
		*worst = *d;
}

static void try_policy(struct __test_metadata *_metadata, FIXTURE_DATA(fairness) *self,
		       unsigned int p)
{
	struct deviation_of with, after;
	unsigned int settle;
	struct bpf_link *link;
	uint64_t asked;
	long left, control;
	int i;

	ASSERT_EQ(0, start_loads(self));
	link = attach(self->skel, &policies[p], self->loads[0].pid, self->variant->everywhere);
	ASSERT_NE(NULL, link);
	record(self, &self->trace, policies[p].mode == RANDOM ? RANDOMLY : HOSTILE);
	asked = opinions();
	with = judge(self, request_us() + tick_us() + between_changes_us(self));
	for (i = 0; self->variant->cookies && i < self->nr_tasks; i++) {
		TH_LOG("%s, %s: task %d has %.1f %%", self->variant->name, policies[p].name, i,
		       100 * trace_share(&self->trace, i));
		EXPECT_GT(trace_share(&self->trace, i), STARVED);
	}
	/* The loads may have inherited the link. */
	ASSERT_EQ(0, bpf_link__detach(link));
	bpf_link__destroy(link);

	left = debt_left(self, &settle);
	record(self, &self->trace, settle);
	record(self, &self->trace, AFTER);
	after = judge(self, left + between_changes_us(self));
	stop_loads(self->loads, MAX_TASKS + 1);

	/* A control is a run as this is, with its own luck. */
	if (with.us > with.allowed) {
		control = control_us(_metadata, self, &policies[p]) * 5 / 4;
		with.allowed = control > with.allowed ? control : with.allowed;
	}
	TH_LOG("%s, %s: %ld of %ld ms (task %d); after %u ms %ld of %ld ms (task %d); %lu opinions",
	       self->variant->name, policies[p].name, with.us / 1000, with.allowed / 1000,
	       with.task, settle, after.us / 1000, after.allowed / 1000, after.task, asked);
	note(p, &with);
	EXPECT_LE(with.us, with.allowed);
	EXPECT_LE(after.us, after.allowed);
	EXPECT_GT(asked, 0);
}

TEST_F_TIMEOUT(fairness, service, 900)
{
	unsigned int scenario = found->nr_scenarios++, p;
	int i, err;

	err = start_loads(self);
	if (variant->cookies && (err == -ENODEV || err == -EINVAL))
		SKIP(return, "no core scheduling, or no CPUs that are siblings");
	ASSERT_EQ(0, err);
	for (i = 0; i < 2; i++)
		record(self, &self->stock[i], STOCK);
	for (i = 0; i < self->nr_tasks; i++) {
		self->usual[i] = trace_usual(&self->stock[0], &self->stock[1], i);
		if (i < 4)
			TH_LOG("%s: task %d has %.1f %%, give or take %ld us", variant->name, i,
			       100 * self->usual[i].share, self->usual[i].noise);
		if (self->rows[i]->judged != NEITHER)
			EXPECT_GT((long)(1e6 * self->usual[i].share), 0);
	}
	stop_loads(self->loads, MAX_TASKS + 1);

	for (p = 0; p < NR_POLICIES; p++) {
		if (is_tried(scenario, variant->randomly, variant->weighted, p))
			try_policy(_metadata, self, p);
	}
}

FIXTURE(starvation) {
	struct fairness *skel;
	char groups[MAX_GROUPS][300];
	struct load loads[MAX_TASKS];
	struct bpf_link *link;
};

FIXTURE_SETUP(starvation)
{
	static const struct group groups[MAX_GROUPS] = {
		{ .weight = "100" }, { .weight = "100" },
	};

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = fairness__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_GT(request_us(), 0);
	ASSERT_EQ(0, make_groups(groups, self->groups));
	ASSERT_EQ(0, become_urgent());
}

FIXTURE_TEARDOWN(starvation)
{
	stop_loads(self->loads, MAX_TASKS);
	bpf_link__destroy(self->link);
	fairness__destroy(self->skel);
	remove_groups(self->groups);
}

/* What the second load has, in percent of what the first two have. */
static int second_share(const struct load *loads, unsigned int ms)
{
	static struct trace trace;
	double share[2];

	trace_record(&trace, loads, 2, ms, NULL, NULL);
	share[0] = trace_share(&trace, 0);
	share[1] = trace_share(&trace, 1);
	return 100 * share[1] / (share[0] + share[1]);
}

/*
 * A is kept, and no more. The weight of its cgroup changes all the time, and with it
 * what A owes to B: which must get back what A had, again and again.
 */
TEST_F_TIMEOUT(starvation, starve, 120)
{
	struct load_attr attrs[3] = {
		{ .kind = HOG }, { .kind = HOG }, { RUNS(20000, 20000), .on_test_cpu = true },
	};
	const struct policy_attr *keep_one = &policies[KEEP_ONE];
	int stock[2], kept[3], after[3], usual, i;
	struct counters c;

	for (i = 0; i < 3; i++) {
		attrs[i].cgroup = self->groups[i % 2];
		ASSERT_EQ(0, load_start(&self->loads[i], &attrs[i]));
	}
	sleep_ms(WARMUP);
	for (i = 0; i < 2; i++)
		stock[i] = second_share(self->loads, 1500);
	self->link = attach(self->skel, keep_one, self->loads[0].pid, false);
	ASSERT_NE(NULL, self->link);
	for (i = 0; i < 3; i++)
		kept[i] = second_share(self->loads, 1500);
	ASSERT_EQ(0, read_counters("hostile", "cfs_check_preempt_tick", &c));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	sleep_ms(TWO_REQUESTS);
	for (i = 0; i < 3; i++)
		after[i] = second_share(self->loads, 1500);

	TH_LOG("B has %d and %d %%, while A is kept %d, %d and %d %%, after that %d, %d and %d %%",
	       stock[0], stock[1], kept[0], kept[1], kept[2], after[0], after[1], after[2]);
	EXPECT_GT(c.negative, 0);
	usual = (stock[0] + stock[1]) / 2;
	for (i = 0; i < 3; i++) {
		EXPECT_LE(abs(kept[i] - usual), 15);
		EXPECT_LE(abs(after[i] - usual), 15);
	}
}

/* The kernel's thread of this name, or zero. */
static pid_t find_thread(const char *name)
{
	char path[280], comm[32];
	struct dirent *entry;
	pid_t pid = 0;
	DIR *dir;

	dir = opendir("/proc");
	while (dir && !pid && (entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (read_file(path, comm, sizeof(comm)))
			continue;
		comm[strcspn(comm, "\n")] = 0;
		if (!strcmp(comm, name))
			pid = atoi(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return pid;
}

/* How long these take on LOAD_CPU, in milliseconds, or negative. */
struct kernel_work {
	long grace_period;	/* its thread, and then callbacks in a softirq */
	long work_item;		/* a kworker */
};

/* In a child that itself need not wait for the CPU. */
static struct kernel_work time_kernel_work(void)
{
	struct kernel_work result = { -1, -1 };
	uint64_t times[3];
	int fds[2];
	char buf[16];
	pid_t pid;

	if (pipe(fds))
		return result;
	pid = fork();
	if (!pid) {
		const struct load self = { .pid = getpid() };
		bool ok;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ok = !become_urgent() && !load_move_to_cpu(&self, LOAD_CPU);
		times[0] = now_ns();
		ok = ok && !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		times[1] = now_ns();
		/* Queues work on each CPU, and waits for it. */
		ok = ok && !read_file("/proc/sys/vm/stat_refresh", buf, sizeof(buf));
		times[2] = now_ns();
		_exit(!ok || write(fds[1], times, sizeof(times)) != sizeof(times));
	}
	close(fds[1]);
	if (read(fds[0], times, sizeof(times)) == sizeof(times)) {
		result.grace_period = (times[1] - times[0]) / NSEC_PER_MSEC;
		result.work_item = (times[2] - times[1]) / NSEC_PER_MSEC;
	}
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return result;
}

#define NR_HOGS		25

/*
 * Among 25 tasks that all are kept, threads of the kernel are tasks as others: they
 * wait for no more than one request of each.
 */
TEST_F_TIMEOUT(starvation, kernel_threads, 300)
{
	const struct load_attr attr = { .kind = HOG };
	const struct policy_attr *keep_all = &policies[KEEP_ALL];
	const long round = NR_HOGS * request_us() / 1000;
	struct kernel_work stock, kept;
	struct load rcu = {};
	cpu_set_t cpus;
	int i;

	for (i = 0; i < NR_HOGS; i++)
		ASSERT_EQ(0, load_start(&self->loads[i], &attr));
	/* The thread that drives grace periods shall wait for that CPU too. */
	rcu.pid = find_thread("rcu_preempt") ?: find_thread("rcu_sched");
	ASSERT_GT(rcu.pid, 0);
	ASSERT_EQ(0, sched_getaffinity(rcu.pid, sizeof(cpus), &cpus));
	ASSERT_EQ(0, load_move_to_cpu(&rcu, LOAD_CPU));
	stock = time_kernel_work();
	self->link = attach(self->skel, keep_all, 0, false);
	EXPECT_NE(NULL, self->link);
	sleep_ms(2 * round);
	kept = time_kernel_work();
	EXPECT_GT(opinions(), 0);
	EXPECT_EQ(0, bpf_link__detach(self->link));
	ASSERT_EQ(0, sched_setaffinity(rcu.pid, sizeof(cpus), &cpus));

	TH_LOG("a grace period: stock %ld ms, kept %ld ms; a work item: stock %ld ms, kept %ld ms",
	       stock.grace_period, kept.grace_period, stock.work_item, kept.work_item);
	EXPECT_GE(stock.work_item, 0);
	EXPECT_GE(kept.work_item, 0);
	/* The thread wakes up when it begins, when it looks, and when it ends. */
	EXPECT_LT(kept.grace_period, 3 * round + 1000);
	EXPECT_LT(kept.work_item, round + 1000);
}

/* The last test, which says what the others have found. */
FIXTURE(summary) {
};

FIXTURE_SETUP(summary)
{
}

FIXTURE_TEARDOWN(summary)
{
}

TEST_F(summary, worst_by_policy)
{
	unsigned int p;

	TH_LOG("%-16s %5s %6s %8s %8s  in", "policy", "tried", "failed", "worst/ms", "bound/ms");
	for (p = 0; p < NR_POLICIES; p++) {
		const struct deviation_of *worst = &found->policies[p].worst;

		if (found->policies[p].tried)
			TH_LOG("%-16s %5u %6u %8ld %8ld  %s", policies[p].name,
			       found->policies[p].tried, found->policies[p].failed,
			       worst->us / 1000, worst->allowed / 1000, worst->scenario);
	}
}

TEST_HARNESS_MAIN
