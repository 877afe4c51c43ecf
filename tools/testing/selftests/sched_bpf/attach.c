// SPDX-License-Identifier: GPL-2.0
/*
 * Attachment of policies to cgroups: evaluation order, places relative to others,
 * update, query, inheritance, and removal of the cgroup.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "attach.skel.h"
#include "lib.h"

#define PHASE_MS	200
#define MAX_PER_CGROUP	64

/* Two cgroups below the root, one of them with a child. */
enum { A, CHILD, B, ROOT, NR_CGROUPS };

FIXTURE(attach) {
	char path[NR_CGROUPS][192];
	uint64_t id[NR_CGROUPS];
	int fd[NR_CGROUPS];
	struct attach *skel;
	struct load load;
	struct bpf_link *links[MAX_PER_CGROUP];
	int nr_links;
};

FIXTURE_SETUP(attach)
{
	int i;

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	ASSERT_EQ(0, cgroup_make(NULL, "a", self->path[A], sizeof(self->path[A])));
	ASSERT_EQ(0, cgroup_make(self->path[A], "child", self->path[CHILD],
				 sizeof(self->path[CHILD])));
	ASSERT_EQ(0, cgroup_make(NULL, "b", self->path[B], sizeof(self->path[B])));
	strcpy(self->path[ROOT], CGROUP_ROOT);
	for (i = 0; i < NR_CGROUPS; i++) {
		self->id[i] = cgroup_id(self->path[i]);
		self->fd[i] = open(self->path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ASSERT_GE(self->fd[i], 0);
	}
	self->skel = attach__open();
	ASSERT_NE(NULL, self->skel);
	bpf_map__set_autocreate(self->skel->maps.no_link, false);
	ASSERT_EQ(0, attach__load(self->skel));
}

FIXTURE_TEARDOWN(attach)
{
	int i;

	load_stop(&self->load);
	for (i = 0; i < self->nr_links; i++)
		bpf_link__destroy(self->links[i]);
	attach__destroy(self->skel);
	for (i = 0; i < NR_CGROUPS; i++)
		close(self->fd[i]);
	cgroup_remove(self->path[CHILD]);
	cgroup_remove(self->path[A]);
	cgroup_remove(self->path[B]);
}

#define ATTACH(number, cgroup, ...) ({						\
	LIBBPF_OPTS(bpf_cgroup_opts, opts, __VA_ARGS__);			\
	struct bpf_link *link;							\
										\
	link = bpf_map__attach_cgroup_opts(self->skel->maps.ops_##number,	\
					   self->fd[cgroup], &opts);		\
	ASSERT_NE(NULL, link);							\
	self->links[self->nr_links++] = link;					\
	link;									\
})

#define EXPECT_REFUSED(error, cgroup_fd, ...) ({				\
	LIBBPF_OPTS(bpf_cgroup_opts, opts, __VA_ARGS__);			\
	struct bpf_link *link;							\
										\
	link = bpf_map__attach_cgroup_opts(self->skel->maps.ops_4, cgroup_fd, &opts); \
	EXPECT_EQ(NULL, link);							\
	EXPECT_EQ(error, errno);						\
})

/* Let the calls for a sleeper in @cgroup be noted. */
#define START(cgroup_path) ({							\
	const struct load_attr attr = { .kind = SLEEPER, .cgroup = cgroup_path }; \
										\
	ASSERT_EQ(0, load_start(&self->load, &attr));				\
	self->skel->bss->pid = self->load.pid;					\
})

/* Expect calls of these policies in this order, again and again. */
#define EXPECT_ORDER(...) ({							\
	const uint32_t want[] = { __VA_ARGS__ };				\
	uint32_t nr = ARRAY_SIZE(want), n;					\
										\
	self->skel->bss->nr_order = MAX_PER_CGROUP;				\
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

/* Expect the maps of these policies as the result of a query. */
#define EXPECT_QUERY(cgroup, flags, ...) ({					\
	const struct bpf_map *want[] = { __VA_ARGS__ };				\
	uint32_t ids[MAX_PER_CGROUP];						\
	int nr = query_maps(self->fd[cgroup], flags, ids, MAX_PER_CGROUP, NULL), n; \
										\
	ASSERT_EQ(ARRAY_SIZE(want), nr);					\
	for (n = 0; n < nr; n++)						\
		EXPECT_EQ(map_id(want[n]), ids[n]);				\
})

static int link_info(struct bpf_link *link, struct bpf_link_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, len);
	return bpf_link_get_info_by_fd(bpf_link__fd(link), info, &len);
}

TEST_F(attach, info_has_map_and_cgroup)
{
	struct bpf_link_info info;
	struct bpf_link *link;

	link = ATTACH(1, A);
	ASSERT_EQ(0, link_info(link, &info));
	EXPECT_EQ(BPF_LINK_TYPE_STRUCT_OPS, info.type);
	EXPECT_EQ(map_id(self->skel->maps.ops_1), info.struct_ops.map_id);
	EXPECT_EQ(self->id[A], info.struct_ops.cgroup_id);
}

TEST_F(attach, own_cgroup_first_root_last)
{
	int i;

	START(self->path[CHILD]);
	ATTACH(1, A);
	ATTACH(2, ROOT);
	ATTACH(3, B);
	ATTACH(4, CHILD);
	EXPECT_ORDER(4, 1, 2);
	/* Each is passed the cgroup that it is attached to. */
	for (i = 0; i < self->skel->bss->nr_order; i++) {
		uint32_t number = self->skel->bss->order[i];

		EXPECT_EQ(self->id[number == 4 ? CHILD : number == 1 ? A : ROOT],
			  self->skel->bss->cgroups[i]);
	}
	EXPECT_QUERY(CHILD, 0, self->skel->maps.ops_4);
	EXPECT_QUERY(CHILD, BPF_F_QUERY_EFFECTIVE, self->skel->maps.ops_4,
		     self->skel->maps.ops_1, self->skel->maps.ops_2);

	/* The cgroup is that of the time of the call. */
	ASSERT_EQ(0, load_move_to_cgroup(&self->load, self->path[B]));
	EXPECT_ORDER(3, 2);
}

TEST_F(attach, one_cgroup_oldest_first)
{
	START(self->path[A]);
	ATTACH(2, A);
	ATTACH(1, A);
	ATTACH(3, A);
	EXPECT_ORDER(2, 1, 3);
	ASSERT_EQ(0, bpf_link__detach(self->links[0]));
	ATTACH(2, A);
	EXPECT_ORDER(1, 3, 2);
}

/* Those with BPF_F_PREORDER are called before all others, from the root down. */
TEST_F(attach, preorder_from_root)
{
	START(self->path[CHILD]);
	ATTACH(1, CHILD);
	ATTACH(2, A);
	ATTACH(3, CHILD, .flags = BPF_F_PREORDER);
	EXPECT_ORDER(3, 1, 2);
	ATTACH(4, A, .flags = BPF_F_PREORDER);
	EXPECT_ORDER(4, 3, 1, 2);
	EXPECT_QUERY(CHILD, BPF_F_QUERY_EFFECTIVE, self->skel->maps.ops_4,
		     self->skel->maps.ops_3, self->skel->maps.ops_1, self->skel->maps.ops_2);
	ATTACH(4, ROOT, .flags = BPF_F_PREORDER);
	EXPECT_ORDER(4, 4, 3, 1, 2);
}

TEST_F(attach, before_and_after)
{
	struct bpf_link *first;
	struct bpf_link_info info;

	first = ATTACH(1, A);
	ATTACH(2, A, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_fd = bpf_link__fd(first));
	EXPECT_QUERY(A, 0, self->skel->maps.ops_2, self->skel->maps.ops_1);
	ATTACH(3, A, .flags = BPF_F_AFTER);
	ASSERT_EQ(0, link_info(first, &info));
	ATTACH(4, A, .flags = BPF_F_AFTER | BPF_F_LINK, .relative_id = info.id);
	EXPECT_QUERY(A, 0, self->skel->maps.ops_2, self->skel->maps.ops_1,
		     self->skel->maps.ops_4, self->skel->maps.ops_3);
	ATTACH(3, A, .flags = BPF_F_BEFORE);
	EXPECT_QUERY(A, 0, self->skel->maps.ops_3, self->skel->maps.ops_2,
		     self->skel->maps.ops_1, self->skel->maps.ops_4, self->skel->maps.ops_3);
	START(self->path[A]);
	EXPECT_ORDER(3, 2, 1, 4, 3);
}

TEST_F(attach, refused_places)
{
	struct bpf_link *in_a, *preorder;
	int fd = self->fd[A];

	in_a = ATTACH(1, A);
	preorder = ATTACH(2, A, .flags = BPF_F_PREORDER);
	EXPECT_REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE | BPF_F_AFTER);
	EXPECT_REFUSED(EINVAL, fd, .flags = BPF_F_REPLACE);
	/* Not a link, none, or no place relative to it. */
	EXPECT_REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE, .relative_fd = bpf_link__fd(in_a));
	EXPECT_REFUSED(EINVAL, fd, .flags = BPF_F_LINK, .relative_fd = bpf_link__fd(in_a));
	EXPECT_REFUSED(EBADF, fd, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_fd = 1000);
	EXPECT_REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_fd = fd);
	EXPECT_REFUSED(ENOENT, fd, .flags = BPF_F_BEFORE | BPF_F_LINK, .relative_id = 1 << 30);
	EXPECT_REFUSED(EINVAL, fd, .flags = BPF_F_BEFORE | BPF_F_LINK,
		       .relative_fd = bpf_link__fd(preorder));
	/* Attached to another cgroup. */
	EXPECT_REFUSED(ENOENT, self->fd[B], .flags = BPF_F_AFTER | BPF_F_LINK,
		       .relative_fd = bpf_link__fd(in_a));
	EXPECT_EQ(0, count_links(self->skel->maps.ops_4));
	EXPECT_QUERY(A, BPF_F_QUERY_EFFECTIVE, self->skel->maps.ops_2, self->skel->maps.ops_1);
}

TEST_F(attach, refused_targets)
{
	struct bpf_link *link;
	int fds[2], fd;

	/* Without a cgroup: target_fd is 0, which is not the whole system. */
	fd = open("/dev/null", O_RDONLY);
	ASSERT_EQ(0, dup2(fd, 0));
	link = bpf_map__attach_struct_ops(self->skel->maps.ops_1);
	EXPECT_EQ(NULL, link);
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(0, count_links(self->skel->maps.ops_1));
	ASSERT_EQ(0, pipe(fds));
	EXPECT_REFUSED(EBADF, fds[0]);
	fd = open("/proc", O_RDONLY | O_DIRECTORY);
	EXPECT_REFUSED(EBADF, fd);

	/* A cgroup of another hierarchy. */
	ASSERT_EQ(0, mkdir("/tmp/v1", 0700));
	ASSERT_EQ(0, mount("v1", "/tmp/v1", "cgroup", 0, "none,name=sched_bpf"));
	fd = open("/tmp/v1", O_RDONLY | O_DIRECTORY);
	ASSERT_GE(fd, 0);
	EXPECT_REFUSED(EBADF, fd);
	close(fd);
	ASSERT_EQ(0, umount("/tmp/v1"));
	ASSERT_EQ(0, rmdir("/tmp/v1"));
}

TEST_F(attach, refused_without_link)
{
	struct attach *skel = attach__open();

	ASSERT_NE(NULL, skel);
	ASSERT_EQ(0, attach__load(skel));
	EXPECT_EQ(NULL, bpf_map__attach_struct_ops(skel->maps.no_link));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(NULL, bpf_map__attach_cgroup_opts(skel->maps.no_link, self->fd[A], NULL));
	EXPECT_EQ(EINVAL, errno);
	attach__destroy(skel);
}

TEST_F(attach, update_keeps_place)
{
	struct bpf_link *link;

	ATTACH(1, A);
	link = ATTACH(2, A);
	ATTACH(3, A);
	ASSERT_EQ(0, bpf_link__update_map(link, self->skel->maps.ops_4));
	EXPECT_QUERY(A, 0, self->skel->maps.ops_1, self->skel->maps.ops_4,
		     self->skel->maps.ops_3);
	EXPECT_EQ(0, count_links(self->skel->maps.ops_2));
	START(self->path[A]);
	EXPECT_ORDER(1, 4, 3);
}

TEST_F(attach, same_map_twice)
{
	struct bpf_link *link;

	START(self->path[CHILD]);
	ATTACH(1, A);
	link = ATTACH(1, A);
	ATTACH(1, CHILD);
	ATTACH(2, A);
	EXPECT_ORDER(1, 1, 1, 2);
	EXPECT_EQ(3, count_links(self->skel->maps.ops_1));
	ASSERT_EQ(0, bpf_link__detach(link));
	EXPECT_ORDER(1, 1, 2);
}

TEST_F(attach, revision_is_checked)
{
	uint64_t revision[2];
	uint32_t ids[4];

	ATTACH(1, A);
	ASSERT_EQ(1, query_maps(self->fd[A], 0, ids, 4, &revision[0]));
	ATTACH(2, A, .expected_revision = revision[0]);
	ASSERT_EQ(2, query_maps(self->fd[A], 0, ids, 4, &revision[1]));
	EXPECT_GT(revision[1], revision[0]);
	EXPECT_REFUSED(ESTALE, self->fd[A], .expected_revision = revision[0]);
	/* A buffer that is too small is filled. */
	EXPECT_EQ(-ENOSPC, query_maps(self->fd[A], 0, ids, 1, NULL));
	EXPECT_EQ(map_id(self->skel->maps.ops_1), ids[0]);
}

TEST_F(attach, new_cgroup_inherits)
{
	char path[256];

	ATTACH(1, A);
	ASSERT_EQ(0, cgroup_make(self->path[CHILD], "new", path, sizeof(path)));
	ATTACH(2, CHILD);
	START(path);
	EXPECT_ORDER(2, 1);
	load_stop(&self->load);
	cgroup_remove(path);
}

TEST_F(attach, removed_cgroup_detaches)
{
	struct bpf_link_info info;
	struct bpf_link *link;
	struct pollfd pfd;

	link = ATTACH(1, CHILD);
	ATTACH(2, A);
	pfd = (struct pollfd){ .fd = bpf_link__fd(link), .events = POLLHUP };
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	cgroup_remove(self->path[CHILD]);
	EXPECT_EQ(1, poll(&pfd, 1, 10000));
	EXPECT_TRUE(pfd.revents & POLLHUP);
	ASSERT_EQ(0, link_info(link, &info));
	EXPECT_EQ(0, info.struct_ops.map_id);
	EXPECT_EQ(0, info.struct_ops.cgroup_id);
	EXPECT_EQ(-ENOLINK, bpf_link__update_map(link, self->skel->maps.ops_3));
	EXPECT_EQ(0, count_links(self->skel->maps.ops_1));
	EXPECT_EQ(1, count_links(self->skel->maps.ops_2));
	EXPECT_REFUSED(ENOENT, self->fd[CHILD]);
}

TEST_F(attach, detached_link_stays)
{
	struct bpf_link *link = ATTACH(1, A);
	struct pollfd pfd = { .fd = bpf_link__fd(link), .events = POLLHUP };

	ASSERT_EQ(0, bpf_link__detach(link));
	EXPECT_EQ(0, count_links(self->skel->maps.ops_1));
	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(-ENOLINK, bpf_link__update_map(link, self->skel->maps.ops_2));
}

TEST_F(attach, limit_per_cgroup)
{
	int i;

	for (i = 0; i < MAX_PER_CGROUP; i++)
		ATTACH(1, A);
	EXPECT_REFUSED(E2BIG, self->fd[A]);
	/* Of this cgroup only. */
	bpf_link__destroy(self->links[--self->nr_links]);
	ATTACH(2, CHILD);
}

TEST_F(attach, killed_loader_detaches)
{
	pid_t loader;
	int fds[2];
	char ok = 0;

	ASSERT_EQ(0, pipe(fds));
	loader = fork();
	if (!loader) {
		ok = !!attach_to(self->skel->maps.ops_1, self->path[A]);
		if (write(fds[1], &ok, 1) == 1)
			pause();
		_exit(1);
	}
	ASSERT_EQ(1, read(fds[0], &ok, 1));
	ASSERT_TRUE(ok);
	EXPECT_EQ(1, count_links(self->skel->maps.ops_1));
	kill(loader, SIGKILL);
	ASSERT_EQ(loader, waitpid(loader, NULL, 0));
	EXPECT_EQ(0, wait_for_links(self->skel->maps.ops_1, 0));
}

TEST_HARNESS_MAIN
