// SPDX-License-Identifier: GPL-2.0
/* Loading a policy takes CAP_BPF and CAP_PERFMON, as for a sched_ext scheduler. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "lib.h"
#include "policy.h"
#include "readme.skel.h"

#define NOBODY		65534
#define CAP(cap)	(1ULL << CAP_##cap)

static int set_caps(__u64 caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
		{ .effective = caps >> 32, .permitted = caps >> 32 },
	};

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* The result of loading and attaching as a child with these capabilities: 0 or an error. */
static int attach_with(__u64 caps, int namespaces)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct readme *skel;

		libbpf_set_print(NULL);
		if (namespaces ? unshare(namespaces) :
		    prctl(PR_SET_KEEPCAPS, 1) || setresuid(NOBODY, NOBODY, NOBODY) ||
		    set_caps(caps))
			_exit(255);
		skel = readme__open_and_load();
		_exit(skel && !readme__attach(skel) ? 0 : errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

TEST(load_needs_both_capabilities)
{
	EXPECT_EQ(EPERM, attach_with(0, 0));
	EXPECT_EQ(EPERM, attach_with(CAP(BPF), 0));
	EXPECT_EQ(EPERM, attach_with(CAP(PERFMON), 0));
	EXPECT_EQ(EPERM, attach_with(CAP(SYS_NICE) | CAP(SYS_RESOURCE), 0));
	EXPECT_EQ(0, attach_with(CAP(BPF) | CAP(PERFMON), 0));
	EXPECT_TRUE(policy_gone("protect_batch"));
}

/* Those of another user namespace do not count. */
TEST(load_needs_initial_namespace)
{
	EXPECT_EQ(EPERM, attach_with(0, CLONE_NEWUSER));
}

TEST_HARNESS_MAIN
