// SPDX-License-Identifier: GPL-2.0
/* Policies of cgroups: who is asked about whom, in which order, until when. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"
#include "scope.skel.h"

#define TICK		"cfs_check_preempt_tick"
#define WAKEUP		"cfs_check_preempt_wakeup"
#define PHASE_MS	300
#define MAX_LINKS	8

/* Two cgroups beside each other, one of them with a child. */
enum { A, A_CHILD, B, NR_CGROUPS };

FIXTURE(scope) {
	char path[NR_CGROUPS][192];
	uint64_t id[NR_CGROUPS];
	int fd[NR_CGROUPS];
	struct scope *skel;
	struct answer *answer;
	struct load loads[3];
	struct bpf_link *links[MAX_LINKS];
	int nr_links;
};

FIXTURE_SETUP(scope)
{
	int i;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, cgroup_make(NULL, "a", self->path[A], sizeof(self->path[A])));
	ASSERT_EQ(0, cgroup_make(self->path[A], "child", self->path[A_CHILD],
				 sizeof(self->path[A_CHILD])));
	ASSERT_EQ(0, cgroup_make(NULL, "b", self->path[B], sizeof(self->path[B])));
	for (i = 0; i < NR_CGROUPS; i++) {
		self->id[i] = cgroup_id(self->path[i]);
		self->fd[i] = open(self->path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ASSERT_GE(self->fd[i], 0);
	}
	self->skel = scope__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->answer = answer__open_and_load();
	ASSERT_NE(NULL, self->answer);
}

FIXTURE_TEARDOWN(scope)
{
	int i;

	for (i = 0; i < MAX_LINKS; i++)
		bpf_link__destroy(self->links[i]);
	for (i = 0; i < 3; i++)
		load_stop(&self->loads[i]);
	scope__destroy(self->skel);
	answer__destroy(self->answer);
	for (i = 0; i < NR_CGROUPS; i++)
		close(self->fd[i]);
	cgroup_remove(self->path[A_CHILD]);
	cgroup_remove(self->path[A]);
	cgroup_remove(self->path[B]);
}

#define START(n, what, in) ({							\
	const struct load_attr attr = { .kind = what, .cgroup = in };		\
										\
	ASSERT_EQ(0, load_start(&self->loads[n], &attr));			\
})

#define ATTACH_MAP(map, cgroup, ...) ({						\
	LIBBPF_OPTS(bpf_cgroup_opts, opts, __VA_ARGS__);			\
	struct bpf_link *link;							\
										\
	link = bpf_map__attach_cgroup_opts(map, self->fd[cgroup], &opts);	\
	ASSERT_NE(NULL, link);							\
	self->links[self->nr_links++] = link;					\
	link;									\
})

#define ATTACH(cgroup, ...) ATTACH_MAP(self->skel->maps.note, cgroup, __VA_ARGS__)

/* Whole system, in this place; the table has been filled in by ATTACH() before. */
#define ATTACH_SYSTEM(...) ({							\
	LIBBPF_OPTS(bpf_link_create_opts, opts, __VA_ARGS__);			\
	int fd = bpf_link_create(bpf_map__fd(self->skel->maps.note), 0, BPF_STRUCT_OPS, &opts); \
										\
	ASSERT_GE(fd, 0);							\
	fd;									\
})

static int link_info(struct bpf_link *link, struct bpf_link_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, len);
	return bpf_link_get_info_by_fd(bpf_link__fd(link), info, &len);
}

static uint64_t calls(const char *policy, const char *hook)
{
	struct counters c;

	return read_counters(policy, hook, &c) ? 0 : c.calls;
}

/* Asked about the tasks at and below its cgroup and no other; and obeyed there. */
TEST_F(scope, only_below)
{
	struct bpf_link_info info;
	struct counters c;
	uint64_t n[2];

	self->answer->bss->tick_answer = -1;
	START(0, HOG, self->path[B]);
	START(1, HOG, self->path[B]);
	ATTACH_MAP(self->answer->maps.all_hooks, A);
	ASSERT_EQ(0, link_info(self->links[0], &info));
	EXPECT_EQ(self->id[A], info.struct_ops.cgroup_id);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, calls("answer_all", TICK));
	EXPECT_EQ(0, calls("answer_all", WAKEUP));
	load_stop(&self->loads[0]);
	load_stop(&self->loads[1]);

	/* A child that existed when the policy came, and one that did not. */
	START(0, HOG, self->path[A_CHILD]);
	START(1, HOG, self->path[A_CHILD]);
	n[0] = switches(self->loads[0].pid);
	sleep_ms(1000);
	n[0] = switches(self->loads[0].pid) - n[0];
	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	EXPECT_GT(c.negative, 0);

	/* By force: the loads have inherited the file descriptor. */
	ASSERT_EQ(0, bpf_link__detach(self->links[0]));
	n[1] = switches(self->loads[0].pid);
	sleep_ms(1000);
	n[1] = switches(self->loads[0].pid) - n[1];
	TH_LOG("switches below the cgroup: with the policy %lu, without %lu", n[0], n[1]);
	EXPECT_GT(n[1], 3 * n[0]);
}

TEST_F(scope, cgroup_made_later)
{
	char path[256];

	ATTACH(A);
	ASSERT_EQ(0, cgroup_make(self->path[A_CHILD], "later", path, sizeof(path)));
	START(0, HOG, path);
	START(1, HOG, self->path[B]);
	self->skel->bss->pid = self->loads[0].pid;
	sleep_ms(PHASE_MS);
	EXPECT_GT(self->skel->bss->nr_order, 0);
	EXPECT_EQ(self->id[A], self->skel->bss->order[0]);
	load_stop(&self->loads[0]);
	cgroup_remove(path);
}

/* The other task's turns, asked about or not, are noted as pid's only. */
#define EXPECT_ORDER(...) ({							\
	const uint64_t want[] = { __VA_ARGS__ };				\
	unsigned int nr = ARRAY_SIZE(want), n;					\
										\
	self->skel->bss->nr_order = 64;						\
	sleep_ms(20);								\
	self->skel->bss->nr_order = 0;						\
	sleep_ms(PHASE_MS);							\
	EXPECT_GE(self->skel->bss->nr_order, nr);				\
	/* The first question may have begun before the count was reset. */	\
	for (n = 0; n + 2 * nr <= self->skel->bss->nr_order; n++) {		\
		if (!memcmp(&self->skel->bss->order[n], want, sizeof(want)))	\
			break;							\
	}									\
	EXPECT_LT(n, nr);							\
	for (; n + nr <= self->skel->bss->nr_order; n += nr)			\
		EXPECT_EQ(0, memcmp(&self->skel->bss->order[n], want, sizeof(want))); \
})

TEST_F(scope, deepest_first_system_last)
{
	int system, n = 0;
	__u32 id = 0;
	__u64 ticks;

	START(0, HOG, self->path[A_CHILD]);
	START(1, HOG, self->path[B]);
	self->skel->bss->pid = self->loads[0].pid;
	ATTACH(A);
	system = ATTACH_SYSTEM();
	ATTACH(B);
	ATTACH(A_CHILD);
	EXPECT_ORDER(self->id[A_CHILD], self->id[A], 0);

	/* Three attachments of one table: each has its own state. */
	for (; !bpf_map__get_next_key(self->skel->maps.ticks, n ? &id : NULL, &id, sizeof(id));
	     n++) {
		ASSERT_EQ(0, bpf_map__lookup_elem(self->skel->maps.ticks, &id, sizeof(id),
						  &ticks, sizeof(ticks), 0));
		EXPECT_GT(ticks, 0);
	}
	EXPECT_EQ(3, n);

	/* It goes by the cgroup that the task is in when the question comes. */
	ASSERT_EQ(0, load_move_to_cgroup(&self->loads[0], self->path[B]));
	EXPECT_ORDER(self->id[B], 0);
	close(system);
	EXPECT_ORDER(self->id[B]);
}

/* Those with BPF_F_PREORDER are asked before all others, from the root down. */
TEST_F(scope, preorder)
{
	int system;

	START(0, HOG, self->path[A_CHILD]);
	START(1, HOG, self->path[B]);
	self->skel->bss->pid = self->loads[0].pid;
	ATTACH(A_CHILD);
	ATTACH(A);
	ATTACH(A_CHILD, .flags = BPF_F_PREORDER);
	EXPECT_ORDER(self->id[A_CHILD], self->id[A_CHILD], self->id[A]);
	ATTACH(A, .flags = BPF_F_PREORDER);
	EXPECT_ORDER(self->id[A], self->id[A_CHILD], self->id[A_CHILD], self->id[A]);
	system = ATTACH_SYSTEM(.flags = BPF_F_PREORDER);
	EXPECT_ORDER(0, self->id[A], self->id[A_CHILD], self->id[A_CHILD], self->id[A]);
	close(system);
}

/* The id of the policy behind @link, and its place among those of its cgroup. */
static uint64_t position_of(struct bpf_link *link)
{
	struct bpf_link_info info;
	char buf[16384], *line, *save;
	unsigned long id, link_id, map_id, cgroup, position;

	if (link_info(link, &info) ||
	    read_file(BPF_SCHED_DEBUGFS "policies", buf, sizeof(buf)))
		return ~0UL;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lu %*s %*s %lu %lu %lu %lu", &id, &link_id, &map_id,
			   &cgroup, &position) == 5 && link_id == info.id)
			return position;
	}
	return ~0UL;
}

TEST_F(scope, before_and_after)
{
	struct bpf_link *first, *link, *last;
	struct bpf_link_info info;

	first = ATTACH(A);
	last = ATTACH(A);
	EXPECT_EQ(0, position_of(first));
	EXPECT_EQ(1, position_of(last));

	ASSERT_EQ(0, link_info(last, &info));
	link = ATTACH(A, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_id = info.id);
	EXPECT_EQ(0, position_of(first));
	EXPECT_EQ(1, position_of(link));
	EXPECT_EQ(2, position_of(last));

	link = ATTACH(A, .flags = BPF_F_AFTER | BPF_F_LINK,
		      .relative_fd = bpf_link__fd(first));
	EXPECT_EQ(1, position_of(link));
	EXPECT_EQ(3, position_of(last));

	link = ATTACH(A, .flags = BPF_F_BEFORE);
	EXPECT_EQ(0, position_of(link));
	link = ATTACH(A, .flags = BPF_F_AFTER);
	EXPECT_EQ(5, position_of(link));
	EXPECT_EQ(4, position_of(last));

	/* A replacement keeps the place. */
	ASSERT_EQ(0, bpf_link__update_map(first, self->skel->maps.note_all));
	EXPECT_EQ(1, position_of(first));
}

#define REFUSED(error, cgroup_fd, ...) ({					\
	LIBBPF_OPTS(bpf_cgroup_opts, opts, __VA_ARGS__);			\
	struct bpf_link *link;							\
										\
	link = bpf_map__attach_cgroup_opts(self->skel->maps.note, cgroup_fd, &opts); \
	EXPECT_EQ(NULL, link);							\
	EXPECT_EQ(error, errno);						\
})

TEST_F(scope, refused_places)
{
	struct bpf_link *in_a, *preorder;
	int fd = self->fd[A];

	in_a = ATTACH(A);
	preorder = ATTACH(A, .flags = BPF_F_PREORDER);
	REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE | BPF_F_AFTER);
	REFUSED(EINVAL, fd, .flags = BPF_F_REPLACE);
	REFUSED(EINVAL, fd, .flags = BPF_F_ALLOW_MULTI);
	REFUSED(EINVAL, fd, .expected_revision = 1);
	/* Related to what is no link, to nothing, or in no way. */
	REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE, .relative_fd = bpf_link__fd(in_a));
	REFUSED(EINVAL, fd, .flags = BPF_F_LINK, .relative_fd = bpf_link__fd(in_a));
	REFUSED(EBADF, fd, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_fd = 1000);
	REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_fd = fd);
	REFUSED(ENOENT, fd, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_id = 1 << 30);
	REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE | BPF_F_LINK,
		.relative_fd = bpf_link__fd(preorder));
	/* Attached, but to another cgroup. */
	REFUSED(ENOENT, self->fd[B], .flags = BPF_F_AFTER | BPF_F_LINK,
		.relative_fd = bpf_link__fd(in_a));
	EXPECT_EQ(2, count_policies("note", TICK));
	/* What was refused left nothing behind. */
	START(0, HOG, self->path[B]);
	START(1, HOG, self->path[B]);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, calls("note", TICK));
}

TEST_F(scope, refused_cgroups)
{
	int fds[2], fd;

	/* Standard input, and what is no directory of a cgroup. */
	capture_libbpf();
	REFUSED(EBADF, 0);
	EXPECT_NE(NULL, strstr(captured_libbpf(), "can't attach to cgroup fd 0"));
	ASSERT_EQ(0, pipe(fds));
	REFUSED(EBADF, fds[0]);
	fd = open("/proc", O_RDONLY | O_DIRECTORY);
	REFUSED(EBADF, fd);
	close(fd);

	/* Only the default hierarchy has the cgroups that policies go by. */
	ASSERT_EQ(0, mkdir("/tmp/v1", 0700));
	ASSERT_EQ(0, mount("v1", "/tmp/v1", "cgroup", 0, "none,name=sched_bpf"));
	fd = open("/tmp/v1", O_RDONLY | O_DIRECTORY);
	ASSERT_GE(fd, 0);
	REFUSED(EBADF, fd);
	close(fd);
	ASSERT_EQ(0, umount("/tmp/v1"));
	ASSERT_EQ(0, rmdir("/tmp/v1"));
}

/* Removing a cgroup detaches its policies, and their links say so. */
TEST_F(scope, removed_cgroup)
{
	struct bpf_link_info info;
	struct bpf_link *link;
	struct pollfd pfd;

	START(0, HOG, self->path[A_CHILD]);
	START(1, HOG, self->path[B]);
	link = ATTACH(A_CHILD);
	ATTACH(A);
	self->skel->bss->pid = self->loads[0].pid;
	EXPECT_ORDER(self->id[A_CHILD], self->id[A]);
	pfd = (struct pollfd){ .fd = bpf_link__fd(link), .events = POLLHUP };
	EXPECT_EQ(0, poll(&pfd, 1, 0));

	load_stop(&self->loads[0]);
	cgroup_remove(self->path[A_CHILD]);
	EXPECT_EQ(1, poll(&pfd, 1, 10000));
	EXPECT_TRUE(pfd.revents & POLLHUP);
	EXPECT_EQ(1, count_policies("note", TICK));
	ASSERT_EQ(0, link_info(link, &info));
	EXPECT_EQ(0, info.struct_ops.map_id);
	EXPECT_EQ(self->id[A_CHILD], info.struct_ops.cgroup_id);
	EXPECT_EQ(-ENOLINK, bpf_link__update_map(link, self->skel->maps.note_all));

	/* Too late to attach another one. */
	REFUSED(ENOENT, self->fd[A_CHILD]);
}

/* Threads of one process in two cgroups are judged each by its own. */
TEST_F(scope, threaded)
{
	char path[256], text[16];
	uint64_t before;

	snprintf(path, sizeof(path), "%s/cgroup.type", self->path[A_CHILD]);
	ASSERT_EQ(0, write_file(path, "threaded"));
	START(0, PIPE_PONG, self->path[A]);
	START(1, HOG, self->path[B]);
	ATTACH_MAP(self->skel->maps.note_all, A_CHILD);
	sleep_ms(PHASE_MS);
	EXPECT_EQ(0, calls("note_all", WAKEUP));

	/* The main thread moves, the other one stays. */
	snprintf(path, sizeof(path), "%s/cgroup.threads", self->path[A_CHILD]);
	snprintf(text, sizeof(text), "%d", self->loads[0].pid);
	ASSERT_EQ(0, write_file(path, text));
	before = calls("note_all", WAKEUP);
	sleep_ms(PHASE_MS);
	EXPECT_GT(calls("note_all", WAKEUP), before);
}

/* What is attached is the cgroup of the file descriptor, whatever its path is. */
TEST_F(scope, namespace)
{
	struct bpf_link_info info;
	struct policy p;
	char procs[256], pid[16];
	struct bpf_link *link;
	int fd;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", self->path[A]);
	snprintf(pid, sizeof(pid), "%d", getpid());
	ASSERT_EQ(0, write_file(procs, pid));
	ASSERT_EQ(0, unshare(CLONE_NEWCGROUP | CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mkdir("/tmp/ns", 0700));
	ASSERT_EQ(0, mount("ns", "/tmp/ns", "cgroup2", 0, NULL));
	/* Here it is the root. */
	fd = open("/tmp/ns", O_RDONLY | O_DIRECTORY);
	ASSERT_GE(fd, 0);
	link = bpf_map__attach_cgroup_opts(self->skel->maps.note, fd, NULL);
	ASSERT_NE(NULL, link);
	self->links[self->nr_links++] = link;
	ASSERT_EQ(0, link_info(link, &info));
	EXPECT_EQ(self->id[A], info.struct_ops.cgroup_id);
	ASSERT_EQ(0, read_policy("note", &p));
	EXPECT_EQ(self->id[A], p.cgroup);
	close(fd);
	ASSERT_EQ(0, umount("/tmp/ns"));
	ASSERT_EQ(0, rmdir("/tmp/ns"));
	ASSERT_EQ(0, write_file("/sys/fs/cgroup/cgroup.procs", pid));
}

/* A policy of the root cgroup is for all tasks, as one without a cgroup. */
TEST_F(scope, root)
{
	struct bpf_link *link;
	int fd;

	fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
	ASSERT_GE(fd, 0);
	link = bpf_map__attach_cgroup_opts(self->skel->maps.note, fd, NULL);
	ASSERT_NE(NULL, link);
	self->links[self->nr_links++] = link;
	START(0, HOG, self->path[A_CHILD]);
	START(1, HOG, NULL);
	self->skel->bss->pid = self->loads[0].pid;
	EXPECT_ORDER(cgroup_id("/sys/fs/cgroup"));
	self->skel->bss->pid = self->loads[1].pid;
	EXPECT_ORDER(cgroup_id("/sys/fs/cgroup"));
	close(fd);
}

/*
 * A wakeup is a question about two tasks. It goes to the policies of both, and
 * once to those that are of both.
 */
TEST_F(scope, both_tasks)
{
	unsigned int n[2];
	int i, system;

	for (i = 0; i < 2; i++) {
		START(0, HOG, self->path[i ? A_CHILD : A]);
		START(1, SLEEPER, self->path[i ? A_CHILD : B]);
		self->skel->bss->curr_pid = self->loads[0].pid;
		self->skel->bss->wakee_pid = self->loads[1].pid;
		ATTACH_MAP(self->skel->maps.note_all, A);
		ATTACH_MAP(self->skel->maps.note_all, B);
		self->skel->bss->pair_cgroup[0] = self->id[A];
		self->skel->bss->pair_cgroup[1] = i ? 0 : self->id[B];
		/* What is asked in any case is asked once. */
		system = bpf_link_create(bpf_map__fd(self->skel->maps.note_all), 0,
					 BPF_STRUCT_OPS, NULL);
		ASSERT_GE(system, 0);
		memset(self->skel->bss->pair_calls, 0, sizeof(n));
		sleep_ms(1000);
		load_stop(&self->loads[1]);
		memcpy(n, self->skel->bss->pair_calls, sizeof(n));
		TH_LOG("asked about the pair: %u and %u times", n[0], n[1]);
		EXPECT_GT(n[0], 10);
		/* One question may have been asked when the counts were reset. */
		EXPECT_LE(abs((int)(n[0] - n[1])), 1);
		load_stop(&self->loads[0]);
		close(system);
		while (self->nr_links) {
			bpf_link__destroy(self->links[--self->nr_links]);
			self->links[self->nr_links] = NULL;
		}
	}
}

/*
 * Of a wakeup: BPF_F_PREORDER ones of the wakee's cgroups and of the running task's,
 * then the others of the one and of the other, then those of the whole system.
 */
TEST_F(scope, order_of_both_tasks)
{
	int system;

	START(0, HOG, self->path[A_CHILD]);
	START(1, SLEEPER, self->path[B]);
	ATTACH_MAP(self->skel->maps.note_all, A);
	system = bpf_link_create(bpf_map__fd(self->skel->maps.note_all), 0, BPF_STRUCT_OPS, NULL);
	ASSERT_GE(system, 0);
	ATTACH_MAP(self->skel->maps.note_all, A, .flags = BPF_F_PREORDER);
	ATTACH_MAP(self->skel->maps.note_all, B);
	ATTACH_MAP(self->skel->maps.note_all, A_CHILD);
	ATTACH_MAP(self->skel->maps.note_all, B, .flags = BPF_F_PREORDER);
	self->skel->bss->curr_pid = self->loads[0].pid;
	self->skel->bss->wakee_pid = self->loads[1].pid;
	EXPECT_ORDER(self->id[B], self->id[A], self->id[B], self->id[A_CHILD], self->id[A], 0);
	close(system);
}

/* SEC("sched/<hook>") programs can be attached to a cgroup too. */
TEST_F(scope, single_program)
{
	struct bpf_program *prog = self->skel->progs.alone;
	struct bpf_link_info info;
	struct bpf_link *link;
	struct policy p;

	link = bpf_program__attach_cgroup(prog, self->fd[A]);
	ASSERT_NE(NULL, link);
	ASSERT_EQ(0, link_info(link, &info));
	EXPECT_EQ(self->id[A], info.struct_ops.cgroup_id);
	ASSERT_EQ(0, read_policy("alone", &p));
	EXPECT_EQ(self->id[A], p.cgroup);
	EXPECT_EQ(info.id, p.link);
	EXPECT_EQ(info.struct_ops.map_id, p.map);
	bpf_link__destroy(link);
	EXPECT_TRUE(policy_gone("alone"));

	link = bpf_program__attach_cgroup(prog, 0);
	EXPECT_EQ(NULL, link);
	EXPECT_EQ(EBADF, errno);
}

TEST_HARNESS_MAIN
