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

TEST_F(tick, end_turn)
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

/* Not asked while nobody else is queued: there is no turn to end. */
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

TEST_HARNESS_MAIN
