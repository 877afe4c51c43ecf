// SPDX-License-Identifier: GPL-2.0
/*
 * The entity kfuncs: for a task in the root, in nested cgroups with and without the cpu
 * controller and in an autogroup, and what they return of its service.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "progs/kfuncs.h"
#include "kfuncs.skel.h"
#include "lib.h"

#define ROOT		"/sys/fs/cgroup"
#define AUTOGROUP	"/proc/sys/kernel/sched_autogroup_enabled"

/* Indices of the cgroups that are compared. */
enum { IN_ROOT, IN_OUTER, IN_INNER, IN_OTHER };

FIXTURE(kfuncs) {
	struct kfuncs *skel;
	struct bpf_link *link;
	struct load loads[2];
	char outer[128], inner[128], other[128], autogroup[8];
};

FIXTURE_SETUP(kfuncs)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, read_file(AUTOGROUP, self->autogroup, sizeof(self->autogroup)));
	ASSERT_EQ(0, write_file(AUTOGROUP, "0"));

	ASSERT_EQ(0, cgroup_make(NULL, "outer", self->outer, sizeof(self->outer)));
	ASSERT_EQ(0, cgroup_make(self->outer, "inner", self->inner, sizeof(self->inner)));
	ASSERT_EQ(0, cgroup_make(NULL, "other", self->other, sizeof(self->other)));

	self->skel = kfuncs__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->cgroups[IN_ROOT] = cgroup_id(ROOT);
	self->skel->bss->cgroups[IN_OUTER] = cgroup_id(self->outer);
	self->skel->bss->cgroups[IN_INNER] = cgroup_id(self->inner);
	self->skel->bss->cgroups[IN_OTHER] = cgroup_id(self->other);
	ASSERT_NE(0, self->skel->bss->cgroups[IN_ROOT]);
	self->link = attach_root(self->skel->maps.look_all);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(kfuncs)
{
	load_stop(&self->loads[0]);
	load_stop(&self->loads[1]);
	bpf_link__destroy(self->link);
	kfuncs__destroy(self->skel);
	cgroup_remove(self->inner);
	cgroup_remove(self->outer);
	cgroup_remove(self->other);
	write_file(ROOT "/cgroup.subtree_control", "-cpu");
	write_file(AUTOGROUP, self->autogroup);
}

/* Let the hooks see a process in a cgroup, with another on its CPU. */
#define look_at(...) ({								\
	const struct load_attr attr = { __VA_ARGS__ };				\
	const struct load_attr hog = { .kind = HOG };				\
	int i;									\
										\
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));			\
	ASSERT_EQ(0, load_start(&self->loads[1], &hog));			\
	self->skel->bss->target = self->loads[0].pid;				\
	for (i = 0; i < 100; i++) {						\
		if (self->skel->bss->seen > 10 ||				\
		    (attr.kind == SLEEPER && self->skel->bss->woken))		\
			break;							\
		sleep_ms(20);							\
	}									\
	self->skel->bss->target = 0;						\
	sleep_ms(20);								\
})

#define EXPECT_BELONGS(view, root, outer, inner, other) ({			\
	EXPECT_EQ(root, (view).belongs[IN_ROOT]);				\
	EXPECT_EQ(outer, (view).belongs[IN_OUTER]);				\
	EXPECT_EQ(inner, (view).belongs[IN_INNER]);				\
	EXPECT_EQ(other, (view).belongs[IN_OTHER]);				\
})

#define EXPECT_TASK(view, cgroup) ({						\
	EXPECT_EQ((uint64_t)self->loads[0].pid << 32 | self->loads[0].pid,	\
		  (view).tgidpid);						\
	EXPECT_EQ(cgroup_id(cgroup), (view).cgrpid);				\
})

TEST_F(kfuncs, task_in_root)
{
	look_at(.kind = HOG, .cgroup = ROOT);
	ASSERT_GT(self->skel->bss->seen, 0);
	EXPECT_TASK(self->skel->bss->task, ROOT);
	EXPECT_BELONGS(self->skel->bss->task, 1, 0, 0, 0);
}

TEST_F(kfuncs, task_in_nested_cgroups)
{
	ASSERT_EQ(0, write_file(ROOT "/cgroup.subtree_control", "+cpu"));
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", self->outer);
	ASSERT_EQ(0, write_file(path, "+cpu"));
	look_at(.kind = HOG, .cgroup = self->inner);
	ASSERT_GT(self->skel->bss->seen, 0);
	EXPECT_TASK(self->skel->bss->task, self->inner);
	EXPECT_BELONGS(self->skel->bss->task, 1, 1, 1, 0);

	write_file(path, "-cpu");
}

TEST_F(kfuncs, without_cpu_controller)
{
	look_at(.kind = HOG, .cgroup = self->inner);
	ASSERT_GT(self->skel->bss->seen, 0);
	EXPECT_TASK(self->skel->bss->task, self->inner);
	EXPECT_BELONGS(self->skel->bss->task, 1, 1, 1, 0);
}

TEST_F(kfuncs, another_cgroup)
{
	look_at(.kind = HOG, .cgroup = self->other);
	ASSERT_GT(self->skel->bss->seen, 0);
	EXPECT_BELONGS(self->skel->bss->task, 1, 0, 0, 1);
}

TEST_F(kfuncs, task_in_autogroup)
{
	ASSERT_EQ(0, write_file(AUTOGROUP, "1"));
	look_at(.kind = HOG, .cgroup = ROOT, .new_session = true);
	ASSERT_GT(self->skel->bss->seen, 0);
	EXPECT_TASK(self->skel->bss->task, ROOT);
	EXPECT_BELONGS(self->skel->bss->task, 1, 0, 0, 0);
}

/* For &task->se, in a hook that has tasks. */
TEST_F(kfuncs, entity_of_task)
{
	look_at(.kind = SLEEPER, .cgroup = self->inner);
	ASSERT_GT(self->skel->bss->woken, 0);
	EXPECT_TASK(self->skel->bss->wakee, self->inner);
	EXPECT_BELONGS(self->skel->bss->wakee, 1, 1, 1, 0);
}

/* Of a task on the queue whose lock is held. */
#define EXPECT_SERVICE(view) ({							\
	EXPECT_LT((view).lag, (long)NSEC_PER_SEC);				\
	EXPECT_GT((view).lag, -(long)NSEC_PER_SEC);				\
	EXPECT_GE((view).eligible, 0);						\
	EXPECT_LE((view).eligible, 1);						\
	EXPECT_GE((view).nr_runnable, 2);					\
	EXPECT_LE((view).nr_runnable, 10);					\
})

#define EXPECT_NO_SERVICE(view) ({						\
	EXPECT_EQ(INT64_MIN, (view).lag);					\
	EXPECT_EQ(-EXDEV, (view).eligible);					\
	EXPECT_EQ(0, (view).nr_runnable);					\
})

TEST_F(kfuncs, service)
{
	ASSERT_EQ(0, write_file(ROOT "/cgroup.subtree_control", "+cpu"));
	look_at(.kind = HOG, .cgroup = self->other);
	ASSERT_GT(self->skel->bss->seen, 0);
	EXPECT_SERVICE(self->skel->bss->task);
	EXPECT_EQ(0, self->skel->bss->disagreed);
}

/* The waker is on another CPU, whose lock is not held. */
TEST_F(kfuncs, service_of_waker_unknown)
{
	const struct load_attr hog = { .kind = HOG };
	struct load_attr attr = { .kind = READER };
	int fds[2], i;
	char c = 0;

	ASSERT_EQ(0, pipe(fds));
	attr.fd = fds[0];
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &hog));
	self->skel->bss->target = self->loads[0].pid;
	for (i = 0; i < 50 && !self->skel->bss->waker.tgidpid; i++) {
		ASSERT_EQ(1, write(fds[1], &c, 1));
		sleep_ms(20);
	}
	EXPECT_EQ(getpid(), self->skel->bss->waker.tgidpid >> 32);
	EXPECT_NO_SERVICE(self->skel->bss->waker);
	EXPECT_SERVICE(self->skel->bss->wakee);
	EXPECT_EQ(0, self->skel->bss->disagreed);
	close(fds[0]);
	close(fds[1]);
}

TEST_HARNESS_MAIN
