// SPDX-License-Identifier: GPL-2.0
/* On a kernel without CONFIG_BPF_SCHED, and only there. Not part of the ordinary run. */
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "lib.h"
#include "rfc.skel.h"

TEST(load_names_option)
{
	struct rfc *skel;

	ASSERT_NE(0, access(BPF_SCHED_SYSFS, F_OK));
	capture_libbpf();
	skel = rfc__open_and_load();
	EXPECT_EQ(NULL, skel);
	EXPECT_NE(NULL, strstr(captured_libbpf(), "needs a kernel with CONFIG_BPF_SCHED")) {
		TH_LOG("%s", captured_libbpf());
	}
	rfc__destroy(skel);
}

TEST_HARNESS_MAIN
