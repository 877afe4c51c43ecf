// SPDX-License-Identifier: GPL-2.0
/* Which tasks a policy of a cgroup is called for, and the order of calls for two tasks. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"
#include "scope.skel.h"

#define PHASE_MS	500
#define MAX_LINKS	8

/* Two cgroups below the root, one of them with a child. */
enum { A, CHILD, B, ROOT, NR_CGROUPS };

FIXTURE(scope) {
	char path[NR_CGROUPS][192];
	uint64_t id[NR_CGROUPS];
	struct scope *skel;
	struct answer *answer;
	struct load loads[2];
	struct bpf_link *links[MAX_LINKS];
	int nr_links;
};

FIXTURE_SETUP(scope)
{
	int i;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, cgroup_make(NULL, "a", self->path[A], sizeof(self->path[A])));
	ASSERT_EQ(0, cgroup_make(self->path[A], "child", self->path[CHILD],
				 sizeof(self->path[CHILD])));
	ASSERT_EQ(0, cgroup_make(NULL, "b", self->path[B], sizeof(self->path[B])));
	strcpy(self->path[ROOT], CGROUP_ROOT);
	for (i = 0; i < NR_CGROUPS; i++)
		self->id[i] = cgroup_id(self->path[i]);
	self->skel = scope__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->answer = answer__open_and_load();
	ASSERT_NE(NULL, self->answer);
}

FIXTURE_TEARDOWN(scope)
{
	int i;

	for (i = 0; i < 2; i++)
		load_stop(&self->loads[i]);
	for (i = 0; i < self->nr_links; i++)
		bpf_link__destroy(self->links[i]);
	scope__destroy(self->skel);
	answer__destroy(self->answer);
	cgroup_remove(self->path[CHILD]);
	cgroup_remove(self->path[A]);
	cgroup_remove(self->path[B]);
}

#define START(n, load_kind, in) ({						\
	const struct load_attr attr = { .kind = load_kind, .cgroup = self->path[in] }; \
										\
	ASSERT_EQ(0, load_start(&self->loads[n], &attr));			\
})

#define ATTACH(map, in, ...) ({							\
	LIBBPF_OPTS(bpf_cgroup_opts, opts, __VA_ARGS__);			\
	int fd = open(self->path[in], O_RDONLY | O_DIRECTORY | O_CLOEXEC);	\
	struct bpf_link *link = bpf_map__attach_cgroup_opts(map, fd, &opts);	\
										\
	ASSERT_NE(NULL, link);							\
	close(fd);								\
	self->links[self->nr_links++] = link;					\
})

/* Calls of a hook are for tasks in the cgroup and below, and have an effect there. */
TEST_F(scope, tasks_at_and_below)
{
	uint64_t n[2];

	self->answer->bss->tick_answer = -1;
	START(0, HOG, B);
	START(1, HOG, B);
	ATTACH(self->answer->maps.all_hooks, A);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, self->answer->bss->tick_calls);
	EXPECT_EQ(0, self->answer->bss->slice_calls);
	EXPECT_EQ(0, self->answer->bss->wakeup_calls);
	load_stop(&self->loads[0]);
	load_stop(&self->loads[1]);

	START(0, HOG, CHILD);
	START(1, HOG, CHILD);
	n[0] = switches(self->loads[0].pid);
	sleep_ms(1000);
	n[0] = switches(self->loads[0].pid) - n[0];
	EXPECT_GT(self->answer->bss->tick_calls, 0);
	EXPECT_GT(self->answer->bss->slice_calls, 0);

	ASSERT_EQ(0, bpf_link__detach(self->links[0]));
	n[1] = switches(self->loads[0].pid);
	sleep_ms(1000);
	n[1] = switches(self->loads[0].pid) - n[1];
	TH_LOG("switches with the policy %lu, without %lu", n[0], n[1]);
	EXPECT_GT(n[1], 2 * n[0]);
}

/* Expect calls for the pair of loads by policies of these cgroups in this order. */
#define EXPECT_ORDER(...) ({							\
	const uint64_t want[] = { __VA_ARGS__ };				\
	uint32_t nr = ARRAY_SIZE(want), n;					\
										\
	self->skel->bss->curr_pid = self->loads[0].pid;				\
	self->skel->bss->wakee_pid = self->loads[1].pid;			\
	self->skel->bss->nr_order = 64;						\
	sleep_ms(20);								\
	self->skel->bss->nr_order = 0;						\
	sleep_ms(PHASE_MS);							\
	EXPECT_GE(self->skel->bss->nr_order, 2 * nr);				\
	/* The notes may begin in the middle. */				\
	for (n = 0; n < nr && memcmp(&self->skel->bss->order[n], want, sizeof(want)); n++) \
		;								\
	EXPECT_LT(n, nr);							\
	for (; n + nr <= self->skel->bss->nr_order; n += nr)			\
		EXPECT_EQ(0, memcmp(&self->skel->bss->order[n], want, sizeof(want))); \
})

/* A policy that applies to both tasks of a wakeup is called once. */
TEST_F(scope, wakeup_calls_common_once)
{
	START(0, HOG, CHILD);
	START(1, SLEEPER, CHILD);
	ATTACH(self->skel->maps.note, CHILD);
	ATTACH(self->skel->maps.note, ROOT);
	EXPECT_ORDER(self->id[CHILD], self->id[ROOT]);
	ASSERT_EQ(0, load_move_to_cgroup(&self->loads[1], self->path[A]));
	ATTACH(self->skel->maps.note, A);
	EXPECT_ORDER(self->id[A], self->id[ROOT], self->id[CHILD]);
}

/* Those of the wakee first, BPF_F_PREORDER or not. */
TEST_F(scope, wakeup_calls_wakee_first)
{
	START(0, HOG, CHILD);
	START(1, SLEEPER, B);
	ATTACH(self->skel->maps.note, A);
	ATTACH(self->skel->maps.note, ROOT);
	ATTACH(self->skel->maps.note, A, .flags = BPF_F_PREORDER);
	ATTACH(self->skel->maps.note, CHILD);
	ATTACH(self->skel->maps.note, B);
	EXPECT_ORDER(self->id[B], self->id[ROOT], self->id[A], self->id[CHILD], self->id[A]);
}

/* The first result other than 0 ends the calls, for each hook alone. */
TEST_F(scope, first_result_counts)
{
	struct answer *other;
	uint64_t before;

	START(0, HOG, CHILD);
	START(1, HOG, CHILD);
	other = answer__open_and_load();
	ASSERT_NE(NULL, other);
	ATTACH(self->answer->maps.only_tick, CHILD);
	ATTACH(other->maps.all_hooks, A);
	self->answer->bss->tick_answer = -1;
	sleep_ms(50);
	before = other->bss->tick_calls;
	sleep_ms(PHASE_MS);
	EXPECT_EQ(before, other->bss->tick_calls);
	EXPECT_GT(other->bss->slice_calls, 0);
	self->answer->bss->tick_answer = 0;
	sleep_ms(PHASE_MS);
	EXPECT_GT(other->bss->tick_calls, before);
	/* Before the object that the links hold is gone. */
	while (self->nr_links)
		bpf_link__destroy(self->links[--self->nr_links]);
	answer__destroy(other);
}

/* Threads of a process in two cgroups have the policies of their own. */
TEST_F(scope, threads_in_two_cgroups)
{
	char path[256], text[16];
	uint64_t before;

	snprintf(path, sizeof(path), "%s/cgroup.type", self->path[CHILD]);
	ASSERT_EQ(0, write_file(path, "threaded"));
	START(0, PIPE_PONG, A);
	START(1, HOG, B);
	ATTACH(self->skel->maps.note, CHILD);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, self->skel->bss->calls);

	/* The main thread moves, the other one stays. */
	snprintf(path, sizeof(path), "%s/cgroup.threads", self->path[CHILD]);
	snprintf(text, sizeof(text), "%d", self->loads[0].pid);
	ASSERT_EQ(0, write_file(path, text));
	before = self->skel->bss->calls;
	sleep_ms(PHASE_MS);
	EXPECT_GT(self->skel->bss->calls, before);
}

/* The cgroup argument is for bpf_task_under_cgroup(). */
TEST_F(scope, argument_is_scope)
{
	START(0, HOG, CHILD);
	START(1, SLEEPER, B);
	ATTACH(self->skel->maps.check, A);
	sleep_ms(PHASE_MS);
	EXPECT_GT(self->skel->bss->calls, 0);
	EXPECT_EQ(0, self->skel->bss->outside);
}

TEST_HARNESS_MAIN
