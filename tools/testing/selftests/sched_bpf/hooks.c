// SPDX-License-Identifier: GPL-2.0
/*
 * Each hook is asked, each sign of its answer changes who runs or for how long as
 * seen from user space, and detaching brings back what was before.
 */
#define _GNU_SOURCE
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define PHASE_MS	1000
#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define TICK		"cfs_check_preempt_tick"
#define SLICE		"cfs_slice"

FIXTURE(tick) {
	struct answer *skel;
};

FIXTURE_SETUP(tick)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(tick)
{
	answer__destroy(self->skel);
}

TEST_F(tick, keep_running)
{
	uint64_t stock, kept, after;
	struct bpf_link *link;
	struct counters c;

	stock = hog_switches(NULL, 0);
	self->skel->bss->tick_answer = -1;
	link = bpf_map__attach_struct_ops(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	kept = hog_switches(NULL, 0);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);
	after = hog_switches(NULL, 0);

	TH_LOG("switches: stock %lu, kept %lu, after %lu", stock, kept, after);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.negative);
	EXPECT_GT(stock, 4 * kept);
	EXPECT_GT(2 * after, stock);
	EXPECT_EQ(-ENOENT, read_counters("answer_tick", TICK, &c));
}

TEST_F(tick, end_request)
{
	const uint64_t slice = 50 * NSEC_PER_MSEC;
	uint64_t stock, ended, after;
	struct bpf_link *link;
	struct counters c;

	stock = hog_switches(NULL, slice);
	self->skel->bss->tick_answer = 1;
	link = bpf_map__attach_struct_ops(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	ended = hog_switches(NULL, slice);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);
	after = hog_switches(NULL, slice);

	TH_LOG("switches: stock %lu, ended %lu, after %lu", stock, ended, after);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.positive);
	EXPECT_GT(ended, 4 * stock);
	EXPECT_LT(after, 2 * stock + 10);
}

TEST_F(tick, no_opinion)
{
	struct bpf_link *link;
	uint64_t stock, none;
	struct counters c;

	stock = hog_switches(NULL, 0);
	link = bpf_map__attach_struct_ops(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	none = hog_switches(NULL, 0);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);

	TH_LOG("switches: stock %lu, no opinion %lu", stock, none);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.zero);
	EXPECT_EQ(0, c.overruled);
	EXPECT_GT(2 * none, stock);
	EXPECT_LT(none, 2 * stock);
	EXPECT_GT(self->skel->bss->tick_this, 0);
	EXPECT_GT(self->skel->bss->max_delta_exec, 0);
}

/*
 * A wakee with an early deadline waits, as a policy says so, for a hog that is still
 * owed service and is protected for 100 ms. If its request ends, so does that.
 */
TEST_F(tick, end_request_of_eligible)
{
	const struct load_attr hog_attr = { .kind = HOG, .slice_ns = 100 * NSEC_PER_MSEC };
	const struct load_attr attr = { .kind = SLEEPER, .work_ns = 50 * 1000 };
	struct load hogs[MAX_HOGS], sleeper = {};
	uint64_t rounds[2], max_gap[2];
	struct bpf_link *link;
	struct counters c;
	int i;

	for (i = 0; i < MAX_HOGS; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	self->skel->bss->wakeup_answer = -1;
	link = bpf_map__attach_struct_ops(self->skel->maps.all_hooks);
	ASSERT_NE(NULL, link);
	for (i = 0; i < 2; i++) {
		self->skel->bss->tick_answer = i;
		self->skel->bss->eligible_ticks = 0;
		sleep_ms(300);
		rounds[i] = sleeper.stats->rounds;
		sleeper.stats->max_gap_ns = 0;
		sleep_ms(2 * PHASE_MS);
		rounds[i] = sleeper.stats->rounds - rounds[i];
		max_gap[i] = sleeper.stats->max_gap_ns;
	}
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	bpf_link__destroy(link);
	load_stop(&sleeper);
	for (i = 0; i < MAX_HOGS; i++)
		load_stop(&hogs[i]);

	TH_LOG("rounds: %lu, if requests end %lu; longest waits: %lu and %lu us; %llu eligible",
	       rounds[0], rounds[1], max_gap[0] / 1000, max_gap[1] / 1000,
	       self->skel->bss->eligible_ticks);
	EXPECT_GT(c.positive, 0);
	EXPECT_GT(self->skel->bss->eligible_ticks, 10);
	EXPECT_GT(rounds[1], 4 * rounds[0]);
	EXPECT_GT(max_gap[0], 2 * max_gap[1]);
}

/* Not asked while nobody else is queued: it goes on anyway. */
TEST_F(tick, not_asked_when_alone)
{
	const struct load_attr attr = { .kind = HOG };
	struct load hog = {};
	struct bpf_link *link;
	struct counters c;
	uint64_t before;

	ASSERT_EQ(0, load_start(&hog, &attr));
	self->skel->bss->only_tgid = hog.pid;
	self->skel->bss->tick_answer = -1;
	link = bpf_map__attach_struct_ops(self->skel->maps.only_tick);
	ASSERT_NE(NULL, link);
	before = cpu_time_ns(hog.pid);
	sleep_ms(PHASE_MS);
	EXPECT_GT(cpu_time_ns(hog.pid) - before, PHASE_MS * NSEC_PER_MSEC / 2);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	bpf_link__destroy(link);
	load_stop(&hog);

	/* Kernel threads join in now and then; the ticks are 1 000 and more. */
	TH_LOG("asked %lu times about the hog", c.negative);
	EXPECT_LT(c.negative, 600);
}

FIXTURE(slice) {
	struct answer *skel;
	uint64_t base_slice;
};

FIXTURE_SETUP(slice)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	/* Long in comparison with a tick, so that a shorter one makes a difference. */
	self->base_slice = get_knob(BASE_SLICE);
	ASSERT_EQ(0, set_knob(BASE_SLICE, 10 * NSEC_PER_MSEC));
}

FIXTURE_TEARDOWN(slice)
{
	answer__destroy(self->skel);
	if (self->base_slice)
		set_knob(BASE_SLICE, self->base_slice);
}

/* Switches between two hogs without the policy, with this answer, and after it. */
#define slice_switches(answer, n, c) ({						\
	struct bpf_link *link;							\
										\
	n[0] = hog_switches(NULL, 0);						\
	self->skel->bss->slice_answer = answer;					\
	link = bpf_map__attach_struct_ops(self->skel->maps.only_slice);		\
	ASSERT_NE(NULL, link);							\
	n[1] = hog_switches(NULL, 0);						\
	ASSERT_EQ(0, read_counters("answer_slice", SLICE, c));			\
	bpf_link__destroy(link);						\
	n[2] = hog_switches(NULL, 0);						\
	TH_LOG("switches: stock %lu, with slices of %d us %lu, after %lu",	\
	       n[0], self->skel->bss->slice_answer / 1000, n[1], n[2]);		\
})

TEST_F(slice, longer)
{
	struct counters c;
	uint64_t n[3];

	slice_switches(80 * NSEC_PER_MSEC, n, &c);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.positive);
	EXPECT_EQ(0, c.overruled);
	EXPECT_GT(n[0], 4 * n[1]);
	EXPECT_GT(n[2], 4 * n[1]);
}

TEST_F(slice, shorter)
{
	struct counters c;
	uint64_t n[3];

	slice_switches(NSEC_PER_MSEC / 5, n, &c);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.positive);
	EXPECT_EQ(0, c.overruled);
	EXPECT_GT(n[1], 3 * n[0]);
	EXPECT_GT(n[1], 3 * n[2]);
}

TEST_F(slice, no_opinion)
{
	struct counters c;
	uint64_t n[3];

	slice_switches(0, n, &c);
	EXPECT_GT(c.calls, 10);
	EXPECT_EQ(c.calls, c.zero);
	EXPECT_GT(2 * n[1], n[0]);
	EXPECT_LT(n[1], 2 * n[0]);
	EXPECT_GT(self->skel->bss->slice_this, 0);
	EXPECT_GT(self->skel->bss->slices, 10);
	EXPECT_EQ(10 * NSEC_PER_MSEC, self->skel->bss->stock_slice);
}

/* Who has said himself how long his requests are is not asked about. */
TEST_F(slice, not_of_custom)
{
	const struct load_attr attrs[2] = {
		{ .kind = HOG, .slice_ns = 20 * NSEC_PER_MSEC }, { .kind = HOG },
	};
	const struct load_attr sleeper_attr = {
		.kind = SLEEPER, .slice_ns = 20 * NSEC_PER_MSEC,
	};
	struct load hogs[2], sleeper = {};
	struct bpf_link *link;
	struct counters c;
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attrs[i]));
	self->skel->bss->only_tgid = hogs[0].pid;
	link = bpf_map__attach_struct_ops(self->skel->maps.only_slice);
	ASSERT_NE(NULL, link);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, self->skel->bss->slices);
	/* Neither where it is placed, by a wakeup. */
	ASSERT_EQ(0, load_start(&sleeper, &sleeper_attr));
	self->skel->bss->only_tgid = sleeper.pid;
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, self->skel->bss->slices);
	/* A control: about the other hog it is asked all the time. */
	self->skel->bss->only_tgid = hogs[1].pid;
	sleep_ms(PHASE_MS);
	EXPECT_GT(self->skel->bss->slices, 10);
	ASSERT_EQ(0, read_counters("answer_slice", SLICE, &c));
	EXPECT_GT(c.calls, 0);
	bpf_link__destroy(link);
	load_stop(&sleeper);
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);
}

/* Asked at wakeups too: a sleeper's request does not get used up, but is a new one. */
TEST_F(slice, of_wakee)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = SLEEPER };
	struct load hog = {}, sleeper = {};
	struct bpf_link *link;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	self->skel->bss->only_tgid = sleeper.pid;
	link = bpf_map__attach_struct_ops(self->skel->maps.only_slice);
	ASSERT_NE(NULL, link);
	sleep_ms(PHASE_MS);
	TH_LOG("asked %llu times in %lu rounds", self->skel->bss->slices, sleeper.stats->rounds);
	EXPECT_GT(self->skel->bss->slices, 10);
	bpf_link__destroy(link);
	load_stop(&sleeper);
	load_stop(&hog);
}

FIXTURE(wakeup) {
	struct answer *skel;
	struct bpf_map *map;
};

FIXTURE_VARIANT(wakeup) {
	const char *policy;
	const char *hook;
};

FIXTURE_VARIANT_ADD(wakeup, task) {
	.policy = "answer_wakeup",
	.hook = WAKEUP,
};

FIXTURE_VARIANT_ADD(wakeup, entity) {
	.policy = "answer_entity",
	.hook = ENTITY,
};

FIXTURE_SETUP(wakeup)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->map = strcmp(variant->hook, WAKEUP) ? self->skel->maps.only_entity :
						    self->skel->maps.only_wakeup;
}

FIXTURE_TEARDOWN(wakeup)
{
	answer__destroy(self->skel);
}

static void set_answer(struct answer *skel, int answer)
{
	skel->bss->wakeup_answer = answer;
	skel->bss->entity_answer = answer;
}

/*
 * A task that sleeps is owed more than a hog that ran meanwhile, so it preempts
 * the hog, which is not eligible any more. The policy says not to: then it waits
 * until the hog's slice ends.
 */
TEST_F(wakeup, do_not_preempt)
{
	const uint64_t slice = 100 * NSEC_PER_MSEC;
	struct rounds stock, denied, after;
	struct bpf_link *link;
	struct counters c;

	stock = sleeper_rounds(NULL, 1, slice);
	set_answer(self->skel, -1);
	link = bpf_map__attach_struct_ops(self->map);
	ASSERT_NE(NULL, link);
	denied = sleeper_rounds(NULL, 1, slice);
	ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c));
	bpf_link__destroy(link);
	after = sleeper_rounds(NULL, 1, slice);

	TH_LOG("rounds: stock %lu, denied %lu, after %lu", stock.all, denied.all, after.all);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.negative);
	EXPECT_GT(stock.all, 4 * denied.all);
	EXPECT_GT(after.all, 4 * denied.all);
}

/*
 * Among several hogs the sleeper often has to wait. The policy lets it in. Tried
 * again if the machine was too busy to tell: without an effect the parts of late
 * rounds differ by chance, and not by a third.
 */
TEST_F(wakeup, preempt)
{
	struct rounds stock, preempting, after;
	struct bpf_link *link;
	struct counters c;
	int tries = 3;

	do {
		stock = sleeper_rounds(NULL, MAX_HOGS, 0);
		set_answer(self->skel, 1);
		link = bpf_map__attach_struct_ops(self->map);
		ASSERT_NE(NULL, link);
		preempting = sleeper_rounds(NULL, MAX_HOGS, 0);
		ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c));
		bpf_link__destroy(link);
		after = sleeper_rounds(NULL, MAX_HOGS, 0);

		TH_LOG("late: stock %lu of %lu, preempting %lu of %lu, after %lu of %lu",
		       stock.late, stock.all, preempting.late, preempting.all,
		       after.late, after.all);
		EXPECT_GT(c.calls, 0);
		EXPECT_EQ(c.calls, c.positive);
	} while (!(is_prompter(preempting, stock) && is_prompter(preempting, after)) && --tries);

	EXPECT_GT(tries, 0);
}

/* The flag by which most wakeups were told to the CPU, or -1. */
static int usual_flag(const struct answer *skel)
{
	const unsigned long long *flags = skel->bss->resched_flags;
	int i, usual = 0;

	for (i = 1; i < 32; i++) {
		if (flags[i] > flags[usual])
			usual = i;
	}
	return flags[usual] > 50 ? usual : -1;
}

/*
 * The CPU of the wakee is told to reschedule when it can, as PREEMPT_LAZY says, unless
 * the policy says now.
 */
TEST_F(wakeup, preempt_now)
{
	const struct load_attr hog_attr = { .kind = HOG }, attr = { .kind = SLEEPER };
	struct load hog = {}, sleeper = {};
	struct bpf_link *link, *tracer;
	struct counters c[3];
	struct answer *skel;
	char preempt[128];
	int flags[2], i;

	if (read_file("/sys/kernel/debug/sched/preempt", preempt, sizeof(preempt)) ||
	    !strstr(preempt, "(lazy)"))
		SKIP(return, "the kernel does not preempt lazily");
	skel = answer__open();
	ASSERT_NE(NULL, skel);
	bpf_program__set_autoload(skel->progs.note_resched, true);
	ASSERT_EQ(0, answer__load(skel));
	tracer = bpf_program__attach(skel->progs.note_resched);
	ASSERT_NE(NULL, tracer);
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	skel->bss->only_tgid = sleeper.pid;
	set_answer(skel, 1);
	link = bpf_map__attach_struct_ops(strcmp(variant->hook, WAKEUP) ?
					  skel->maps.only_entity : skel->maps.only_wakeup);
	ASSERT_NE(NULL, link);
	ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c[0]));
	for (i = 0; i < 2; i++) {
		set_answer(skel, 1 + i);
		memset(skel->bss->resched_flags, 0, sizeof(skel->bss->resched_flags));
		sleep_ms(PHASE_MS);
		flags[i] = usual_flag(skel);
		ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c[i + 1]));
	}
	bpf_link__destroy(link);
	bpf_link__destroy(tracer);
	answer__destroy(skel);
	load_stop(&sleeper);
	load_stop(&hog);

	TH_LOG("preempts by flag %d, now by flag %d", flags[0], flags[1]);
	for (i = 0; i < 2; i++) {
		EXPECT_GT(c[i + 1].positive - c[i].positive, 50);
		EXPECT_GE(flags[i], 0);
	}
	EXPECT_NE(flags[0], flags[1]);
}

TEST_F(wakeup, no_opinion)
{
	const uint64_t slice = 100 * NSEC_PER_MSEC;
	struct rounds stock, none;
	struct bpf_link *link;
	struct counters c;

	stock = sleeper_rounds(NULL, 1, slice);
	link = bpf_map__attach_struct_ops(self->map);
	ASSERT_NE(NULL, link);
	none = sleeper_rounds(NULL, 1, slice);
	ASSERT_EQ(0, read_counters(variant->policy, variant->hook, &c));
	bpf_link__destroy(link);

	TH_LOG("rounds: stock %lu, no opinion %lu", stock.all, none.all);
	EXPECT_GT(c.calls, 0);
	EXPECT_EQ(c.calls, c.zero);
	EXPECT_EQ(0, c.overruled);
	EXPECT_GT(2 * none.all, stock.all);
	EXPECT_LT(none.all, 2 * stock.all);
}

/*
 * The question is about the task that runs on the wakee's CPU. The waker, here
 * this process on another CPU, is not it.
 */
TEST_F(wakeup, curr_is_not_the_waker)
{
	const struct load_attr hog_attr = { .kind = HOG };
	struct load_attr attr = { .kind = READER };
	struct load hog = {}, reader = {};
	struct bpf_link *link;
	int i, fds[2];
	char c = 0;

	ASSERT_EQ(0, pipe(fds));
	attr.fd = fds[0];
	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	ASSERT_EQ(0, load_start(&reader, &attr));
	self->skel->bss->only_tgid = reader.pid;
	link = bpf_map__attach_struct_ops(self->map);
	ASSERT_NE(NULL, link);
	for (i = 0; i < 50 && self->skel->bss->curr_of_wakee != hog.pid; i++) {
		ASSERT_EQ(1, write(fds[1], &c, 1));
		sleep_ms(20);
		EXPECT_NE(getpid(), self->skel->bss->curr_of_wakee);
	}
	EXPECT_EQ(hog.pid, self->skel->bss->curr_of_wakee);
	bpf_link__destroy(link);
	load_stop(&reader);
	load_stop(&hog);
	close(fds[0]);
	close(fds[1]);
}

/* All that wakeups of this load, or of its children, are said to be. */
#define wake_flags(load_kind) ({						\
	const struct load_attr attr = { .kind = load_kind };			\
	struct load load = {};							\
										\
	ASSERT_EQ(0, load_start(&load, &attr));					\
	self->skel->bss->only_tgid = load.pid;					\
	sleep_ms(PHASE_MS / 2);							\
	self->skel->bss->seen_wake_flags = 0;					\
	sleep_ms(PHASE_MS / 2);							\
	load_stop(&load);							\
	TH_LOG("flags of wakeups by " #load_kind ": 0x%llx",			\
	       self->skel->bss->seen_wake_flags);				\
	self->skel->bss->seen_wake_flags;					\
})

TEST_F(wakeup, flags)
{
	struct load_attr attr = { .kind = READER };
	const struct load_attr hog_attr = { .kind = HOG };
	struct load hog = {}, reader = {};
	struct bpf_link *link;
	uint64_t flags;
	int fds[2], i;
	char c = 0;

	ASSERT_EQ(0, load_start(&hog, &hog_attr));
	link = bpf_map__attach_struct_ops(self->map);
	ASSERT_NE(NULL, link);

	flags = wake_flags(PIPE_PONG);
	EXPECT_TRUE(flags & BPF_SCHED_WAKE_SYNC);
	EXPECT_FALSE(flags & BPF_SCHED_WAKE_FORK);
	flags = wake_flags(FORKER);
	EXPECT_TRUE(flags & BPF_SCHED_WAKE_FORK);
	flags = wake_flags(SLEEPER);
	EXPECT_NE(0, flags);
	EXPECT_FALSE(flags & (BPF_SCHED_WAKE_FORK | BPF_SCHED_WAKE_SYNC |
			      BPF_SCHED_WAKE_MIGRATED));

	/* It goes to sleep here, and wakes up there. */
	ASSERT_EQ(0, pipe(fds));
	attr.fd = fds[0];
	attr.on_test_cpu = true;
	ASSERT_EQ(0, load_start(&reader, &attr));
	self->skel->bss->only_tgid = reader.pid;
	self->skel->bss->seen_wake_flags = 0;
	for (i = 0; i < 20 && !(self->skel->bss->seen_wake_flags & BPF_SCHED_WAKE_MIGRATED); i++) {
		ASSERT_EQ(0, load_move_to_cpu(&reader, TEST_CPU));
		ASSERT_EQ(1, write(fds[1], &c, 1));
		sleep_ms(20);
		ASSERT_EQ(0, load_move_to_cpu(&reader, LOAD_CPU));
		ASSERT_EQ(1, write(fds[1], &c, 1));
		sleep_ms(20);
	}
	EXPECT_TRUE(self->skel->bss->seen_wake_flags & BPF_SCHED_WAKE_MIGRATED);
	bpf_link__destroy(link);
	load_stop(&reader);
	load_stop(&hog);
	close(fds[0]);
	close(fds[1]);
}

TEST_HARNESS_MAIN
