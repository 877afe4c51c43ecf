// SPDX-License-Identifier: GPL-2.0
/* Who may attach a policy, and where: privileges, and BPF tokens in their place. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/mount.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define TICK	"cfs_check_preempt_tick"
#define WAKEUP	"cfs_check_preempt_wakeup"
#define SLICE	"cfs_slice"
#define NOBODY	65534

/* How many policies may be attached by the tokens of one user namespace. */
#define MAX_BY_TOKEN	4

FIXTURE(who) {
	struct answer *skel;
	struct bpf_link *link;
	char path[192];
	int cgroup;
};

FIXTURE_SETUP(who)
{
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	/* Fills in the table, so that the map alone can be attached. */
	self->link = bpf_map__attach_struct_ops(self->skel->maps.only_tick);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, cgroup_make(NULL, "who", self->path, sizeof(self->path)));
	self->cgroup = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_GE(self->cgroup, 0);
}

FIXTURE_TEARDOWN(who)
{
	bpf_link__destroy(self->link);
	answer__destroy(self->skel);
	close(self->cgroup);
	cgroup_remove(self->path);
}

static int set_caps(__u64 caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
		{ .effective = caps >> 32, .permitted = caps >> 32 },
	};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* What attaching gives a child with these capabilities: 0 or an error. */
static int attach_with(const struct bpf_map *map, __u64 caps, int cgroup)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int fd;

		if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(NOBODY, NOBODY, NOBODY) ||
		    set_caps(caps))
			_exit(255);
		fd = bpf_link_create(bpf_map__fd(map), cgroup, BPF_STRUCT_OPS, NULL);
		_exit(fd < 0 ? -fd : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#define CAP(cap)	(1ULL << CAP_##cap)

/* The file descriptor of a map is not enough, nor is half of the privileges. */
TEST_F(who, capabilities)
{
	const struct bpf_map *map = self->skel->maps.only_tick;

	EXPECT_EQ(EPERM, attach_with(map, 0, 0));
	EXPECT_EQ(EPERM, attach_with(map, 0, self->cgroup));
	EXPECT_EQ(EPERM, attach_with(map, CAP(BPF), 0));
	EXPECT_EQ(EPERM, attach_with(map, CAP(PERFMON), 0));
	EXPECT_EQ(EPERM, attach_with(map, CAP(PERFMON), self->cgroup));
	EXPECT_EQ(EPERM, attach_with(map, CAP(SYS_NICE) | CAP(SYS_RESOURCE), 0));
	EXPECT_EQ(0, attach_with(map, CAP(BPF) | CAP(PERFMON), 0));
	EXPECT_EQ(0, attach_with(map, CAP(BPF) | CAP(PERFMON), self->cgroup));
}

/* Nor may somebody else change what stands behind a link. */
TEST_F(who, replace)
{
	int link = bpf_link__fd(self->link), status;
	struct bpf_link *other;
	pid_t pid;

	other = bpf_map__attach_struct_ops(self->skel->maps.shadow_tick);
	ASSERT_NE(NULL, other);
	pid = fork();
	if (!pid) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		_exit(-bpf_link_update(link, bpf_map__fd(self->skel->maps.shadow_tick), NULL));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(EPERM, WEXITSTATUS(status));
	EXPECT_EQ(1, count_policies("answer_tick", TICK));
	bpf_link__destroy(other);
}

/*
 * A container: a user, a cgroup and a mount namespace, the root of the second
 * being self->path, and a BPF file system that delegates what is needed.
 */
static int send_fd(int sock, int fd)
{
	char buf[CMSG_SPACE(sizeof(fd))] = {}, c = 0;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) < 0 ? -errno : 0;
}

static int receive_fd(int sock)
{
	char buf[CMSG_SPACE(sizeof(int))] = {}, c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, 0) < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		return -EIO;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* What the container found out, by the exit status: a bit for each fault. */
enum {
	NO_CONTAINER	= 1,
	NO_LOAD		= 2,
	NO_ATTACH	= 4,	/* to its own cgroup */
	SYSTEM_WIDE	= 8,	/* it could attach for all tasks */
	OUTSIDE		= 16,	/* or to a cgroup outside */
	TOO_MANY	= 32,	/* or without end, or too few */
	REPLACED	= 64,	/* or replace what was attached to its cgroup from outside */
};

/* How many more can be attached, or a negative errno other than that of the quota. */
static int attach_all(const struct bpf_map *map, int cgroup)
{
	int n;

	for (n = 0; n <= MAX_BY_TOKEN; n++) {
		if (!bpf_map__attach_cgroup_opts(map, cgroup, NULL))
			return errno == EDQUOT ? n : -errno;
	}
	return n;
}

static int in_container(int sock, int own, int outside, int link_from_outside,
			bool own_cgroup_ns, bool stay)
{
	struct bpf_object_open_opts opts = {
		.sz = sizeof(opts), .bpf_token_path = "/tmp/token",
	};
	int fs, mnt, result = 0;
	struct bpf_link *link;
	struct answer *skel;
	char c = 0;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | (own_cgroup_ns ? CLONE_NEWCGROUP : 0)) ||
	    write_file("/proc/self/setgroups", "deny") ||
	    write_file("/proc/self/uid_map", "0 0 1") ||
	    write_file("/proc/self/gid_map", "0 0 1"))
		return NO_CONTAINER;
	/* The file system belongs to the user namespace that opens it. */
	fs = syscall(SYS_fsopen, "bpf", 0);
	if (fs < 0 || send_fd(sock, fs))
		return NO_CONTAINER;
	mnt = receive_fd(sock);
	if (mnt < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmp", "/tmp", "tmpfs", 0, NULL) || mkdir("/tmp/token", 0755) ||
	    syscall(SYS_move_mount, mnt, "", AT_FDCWD, "/tmp/token", MOVE_MOUNT_F_EMPTY_PATH))
		return NO_CONTAINER;

	skel = answer__open_opts(&opts);
	if (!skel || answer__load(skel))
		return NO_LOAD;
	if (stay) {
		/* All as long as can be. */
		skel->bss->tick_answer = -1;
		skel->bss->slice_answer = 100 * NSEC_PER_MSEC;
		if (!bpf_map__attach_cgroup_opts(skel->maps.all_hooks, own, NULL))
			result |= NO_ATTACH;
		/* Until the other side closes it. */
		if (write(sock, &c, 1) != 1 || read(sock, &c, 1) != 0)
			result |= NO_CONTAINER;
		return result;
	}
	link = bpf_map__attach_cgroup_opts(skel->maps.only_tick, own, NULL);
	if (!link)
		result |= NO_ATTACH;
	else if (attach_all(skel->maps.only_tick, own) != MAX_BY_TOKEN - 1)
		result |= TOO_MANY;
	if (bpf_map__attach_struct_ops(skel->maps.only_tick) || errno != EPERM)
		result |= SYSTEM_WIDE;
	if (bpf_map__attach_cgroup_opts(skel->maps.only_tick, outside, NULL) || errno != EPERM)
		result |= OUTSIDE;
	if (bpf_link_update(link_from_outside, bpf_map__fd(skel->maps.only_tick), NULL) != -EPERM)
		result |= REPLACED;
	return result;
}

static int configure(int fs)
{
	static const char * const keys[] = {
		"delegate_cmds", "delegate_maps", "delegate_progs", "delegate_attachs",
	};
	int i, mnt;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, keys[i], "any", 0))
			return -errno;
	}
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	mnt = syscall(SYS_fsmount, fs, 0, 0);
	return mnt < 0 ? -errno : mnt;
}

/*
 * Make a container that has a token, and return what it found out. If there is a
 * function to be called meanwhile, it stays with a policy attached.
 */
static int run_container(struct __test_metadata *_metadata, const char *path, int cgroup,
			 int link, bool own_cgroup_ns,
			 void (*meanwhile)(struct __test_metadata *_metadata, const char *path))
{
	int socks[2], status, fs, mnt;
	char procs[256], pid_text[16], c;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	if (!pid) {
		int outside = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);

		snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
		snprintf(pid_text, sizeof(pid_text), "%d", getpid());
		if (outside < 0 || write_file(procs, pid_text))
			_exit(NO_CONTAINER);
		_exit(in_container(socks[1], cgroup, outside, link, own_cgroup_ns, meanwhile));
	}
	close(socks[1]);
	fs = receive_fd(socks[0]);
	EXPECT_GE(fs, 0);
	mnt = configure(fs);
	EXPECT_GE(mnt, 0);
	EXPECT_EQ(0, send_fd(socks[0], mnt));
	if (meanwhile) {
		ASSERT_EQ(1, read(socks[0], &c, 1));
		meanwhile(_metadata, path);
	}
	/* Loads that were started meanwhile may have inherited it. */
	if (meanwhile)
		shutdown(socks[0], SHUT_RDWR);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	close(socks[0]);
	close(fs);
	close(mnt);
	return WEXITSTATUS(status);
}

/*
 * With a token a container gets policies for its own cgroups, not for the system
 * and not for others, and not more than a few; and none where the cgroup namespace is
 * the host's.
 */
TEST_F(who, token)
{
	struct bpf_link *link;
	int fd;

	link = bpf_map__attach_cgroup_opts(self->skel->maps.only_tick, self->cgroup, NULL);
	ASSERT_NE(NULL, link);
	fd = bpf_link__fd(link);
	EXPECT_EQ(0, run_container(_metadata, self->path, self->cgroup, fd, true, NULL));
	EXPECT_EQ(NO_ATTACH, run_container(_metadata, self->path, self->cgroup, fd, false, NULL));
	bpf_link__destroy(link);
}

/* The policy of the container says that all requests in @path are to be 100 ms long. */
static void expect_as_stock(struct __test_metadata *_metadata, const char *path)
{
	const struct load_attr attr = { .kind = HOG, .cgroup = path };
	struct load hogs[2] = {};
	struct counters c;
	uint64_t stock, n;
	int i;

	stock = hog_switches(NULL, 0);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, load_start(&hogs[i], &attr));
	sleep_ms(200);
	n = switches(hogs[0].pid);
	sleep_ms(1000);
	n = switches(hogs[0].pid) - n;
	for (i = 0; i < 2; i++)
		load_stop(&hogs[i]);

	ASSERT_EQ(0, read_counters("answer_all", TICK, &c));
	TH_LOG("switches: stock %lu, with the policy %lu; overruled %lu of %lu", stock, n,
	       c.overruled_delegated, c.negative);
	EXPECT_GT(2 * n, stock);
	EXPECT_LT(n, 2 * stock);
	EXPECT_GT(c.overruled_delegated, 0);
	EXPECT_EQ(c.overruled, c.overruled_delegated);
	ASSERT_EQ(0, read_counters("answer_all", SLICE, &c));
	EXPECT_GT(c.positive, 0);
	EXPECT_EQ(c.overruled_delegated, c.positive);
}

/* No request gets longer than it would be without such a policy. */
TEST_F(who, token_lengthens_nothing)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	/* So that the policy of the container is the one that is asked. */
	ASSERT_EQ(0, bpf_link__detach(self->link));
	EXPECT_EQ(0, run_container(_metadata, self->path, self->cgroup, -1, true,
				   expect_as_stock));
}

static uint64_t wakeup_calls(void)
{
	struct counters c;

	return read_counters("answer_all", WAKEUP, &c) ? 0 : c.calls;
}

static void expect_no_outsiders(struct __test_metadata *_metadata, const char *path)
{
	const struct load_attr outside = { .kind = HOG }, inside = { .kind = HOG, .cgroup = path };
	const struct load_attr attr = { .kind = SLEEPER, .cgroup = path };
	struct load hog = {}, sleeper = {};
	uint64_t calls;

	ASSERT_EQ(0, load_start(&hog, &outside));
	ASSERT_EQ(0, load_start(&sleeper, &attr));
	sleep_ms(100);
	calls = wakeup_calls();
	sleep_ms(500);
	EXPECT_EQ(calls, wakeup_calls());
	EXPECT_GT(sleeper.stats->rounds, 10);
	load_stop(&hog);
	ASSERT_EQ(0, load_start(&hog, &inside));
	sleep_ms(500);
	EXPECT_GT(wakeup_calls(), calls + 10);
	load_stop(&sleeper);
	load_stop(&hog);
}

/* Whether a task of the container preempts one outside is not for it to say. */
TEST_F(who, token_decides_inside_only)
{
	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	EXPECT_EQ(0, run_container(_metadata, self->path, self->cgroup, -1, true,
				   expect_no_outsiders));
}

TEST_HARNESS_MAIN
