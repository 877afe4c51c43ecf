// SPDX-License-Identifier: GPL-2.0
/* Programs and ops that are rejected, with the message that says why. */
#define _GNU_SOURCE
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "lib.h"
#include "license.skel.h"
#include "reject.skel.h"

/* Open the object with nothing to load but this program and this map, if not NULL. */
static struct reject *open_only(struct __test_metadata *_metadata, const char *prog_name,
				const char *map_name)
{
	struct bpf_program *prog;
	struct reject *skel;
	struct bpf_map *map;

	skel = reject__open();
	ASSERT_NE(NULL, skel);
	bpf_object__for_each_map(map, skel->obj) {
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, map_name &&
						!strcmp(bpf_map__name(map), map_name));
	}
	prog = bpf_object__find_program_by_name(skel->obj, prog_name);
	ASSERT_NE(NULL, prog);
	bpf_program__set_autoload(prog, true);
	return skel;
}

static void expect_rejected(struct __test_metadata *_metadata, const char *prog,
			    const char *map, const char *message)
{
	struct reject *skel;

	capture_libbpf();
	skel = open_only(_metadata, prog, map);
	EXPECT_NE(0, reject__load(skel));
	EXPECT_NE(NULL, strstr(captured_libbpf(), message)) {
		TH_LOG("expected \"%s\" in: %s", message, captured_libbpf());
	}
	reject__destroy(skel);
}

#define REJECTED(prog, message)							\
	TEST(prog)								\
	{									\
		expect_rejected(_metadata, #prog, NULL, message);		\
	}

REJECTED(unknown_hook, "struct bpf_sched_ops of this kernel has no hook 'cfs_no_such_hook'")
REJECTED(not_a_hook, "struct bpf_sched_ops of this kernel has no hook 'name'")
REJECTED(returns_nothing, "R0 !read_ok")
REJECTED(writes_task, "only read is supported")
REJECTED(reads_fifth_argument, "func 'cfs_check_preempt_wakeup' doesn't have 5-th argument")
REJECTED(takes_entity_for_task, "access beyond struct sched_entity")
REJECTED(calls_sleeping_helper, "bpf_copy_from_user#148")
REJECTED(untrusted_entity, "R1 must be")
REJECTED(kfunc_from_tracing, "calling kernel function bpf_sched_entity_to_tgidpid is not allowed")

TEST(kfunc_from_sched_ext)
{
	if (!has_sched_ext())
		SKIP(return, "the kernel has no sched_ext");
	expect_rejected(_metadata, "kfunc_from_sched_ext", "ext",
			"calling kernel function bpf_sched_entity_to_tgidpid is not allowed");
}

TEST(sleepable)
{
	expect_rejected(_metadata, "sleepable", "sleeping", "BPF program load failed");
}

TEST(not_gpl)
{
	struct license *skel;

	capture_libbpf();
	skel = license__open_and_load();
	EXPECT_EQ(NULL, skel);
	EXPECT_NE(NULL, strstr(captured_libbpf(), "must have a GPL compatible license")) {
		TH_LOG("%s", captured_libbpf());
	}
	license__destroy(skel);
}

/* A control: what the rejected programs differ from is accepted. */
TEST(good)
{
	struct reject *skel = open_only(_metadata, "good", NULL);
	struct bpf_link *link;

	ASSERT_EQ(0, reject__load(skel));
	link = bpf_program__attach(skel->progs.good);
	ASSERT_NE(NULL, link);
	bpf_link__destroy(link);
	reject__destroy(skel);
}

/* The errno of attaching these ops, whose values the kernel sees then. */
static int attach_errno(struct __test_metadata *_metadata, const char *name)
{
	struct reject *skel = open_only(_metadata, "tick", name);
	struct bpf_link *link;
	int err;

	ASSERT_EQ(0, reject__load(skel));
	link = attach_root(bpf_object__find_map_by_name(skel->obj, name));
	err = link ? 0 : errno;
	bpf_link__destroy(link);
	reject__destroy(skel);
	return err;
}

TEST(ops_without_name)
{
	EXPECT_EQ(EINVAL, attach_errno(_metadata, "no_name"));
	EXPECT_EQ(EINVAL, attach_errno(_metadata, "bad_name"));
}

TEST(ops_with_unknown_flag)
{
	EXPECT_EQ(EINVAL, attach_errno(_metadata, "unknown_flag"));
}

TEST_HARNESS_MAIN
