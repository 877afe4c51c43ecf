// SPDX-License-Identifier: GPL-2.0
/* What is refused, and the message that says why. */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "lib.h"
#include "license.skel.h"
#include "reject.skel.h"

/* None of the tables is to be made. Only the first of a section starts so. */
static void no_tables(struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, false);
	}
}

/* Load one program, or one table and its program, and expect this message. */
static void expect_refused(struct __test_metadata *_metadata, const char *prog_name,
			   const char *map_name, const char *message)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	struct reject *skel;
	int err;

	capture_libbpf();
	skel = reject__open();
	ASSERT_NE(NULL, skel);
	no_tables(skel->obj);
	prog = bpf_object__find_program_by_name(skel->obj, prog_name);
	ASSERT_NE(NULL, prog);
	bpf_program__set_autoload(prog, true);
	if (map_name) {
		map = bpf_object__find_map_by_name(skel->obj, map_name);
		ASSERT_NE(NULL, map);
		bpf_map__set_autocreate(map, true);
	}
	err = reject__load(skel);
	EXPECT_NE(0, err);
	EXPECT_NE(NULL, strstr(captured_libbpf(), message)) {
		TH_LOG("expected \"%s\" in: %s", message, captured_libbpf());
	}
	reject__destroy(skel);
}

#define REFUSED(prog, map, message)						\
	TEST(prog)								\
	{									\
		expect_refused(_metadata, #prog, map, message);			\
	}

REFUSED(unknown_hook, NULL, "unknown hook 'cfs_no_such_hook'")
REFUSED(not_a_hook, NULL,
	"cfs_check_preempt_tick, cfs_slice, cfs_select_cpu, cfs_can_migrate")
REFUSED(returns_nothing, NULL, "R0 !read_ok")
REFUSED(writes_task, NULL, "only read is supported")
REFUSED(reads_beyond_context, NULL, "func 'cfs_check_preempt_wakeup' doesn't have 5-th argument")
REFUSED(calls_sleeping_helper, NULL,
	"program of this type cannot use helper bpf_copy_from_user#148")
REFUSED(calls_bpf_loop, NULL, "program of this type cannot use helper bpf_loop#181")
REFUSED(uses_iterator, NULL, "calling kernel function bpf_iter_num_new is not allowed")
REFUSED(uses_may_goto, NULL, "is may_goto")
REFUSED(calls_global, NULL, "make it static")
REFUSED(without_context, NULL,
	"has no context, which is a pointer: int BPF_PROG(without_context, ...)")
REFUSED(releases_task, NULL, "calling kernel function bpf_task_acquire is not allowed")
REFUSED(sends_signal, NULL, "program of this type cannot use helper bpf_send_signal#109")
REFUSED(untrusted_entity, NULL, "R1 must be a rcu pointer")
REFUSED(unchecked_parent, NULL, "Possibly NULL pointer passed to trusted R1")
REFUSED(from_tracing, NULL, "calling kernel function bpf_sched_entity_to_tgidpid is not allowed")
REFUSED(sleepable, "sleeping", "SEC(\"struct_ops.s\") is sleepable")

TEST(calls_sched_ext)
{
	if (!has_sched_ext())
		SKIP(return, "the kernel has no sched_ext");
	expect_refused(_metadata, "calls_sched_ext", NULL,
		       "calling kernel function scx_bpf_task_cpu is not allowed");
}

TEST(from_sched_ext)
{
	if (!has_sched_ext())
		SKIP(return, "the kernel has no sched_ext");
	expect_refused(_metadata, "from_sched_ext", "ext",
		       "calling kernel function bpf_sched_entity_to_tgidpid is not allowed");
}

/* A control: what the refused programs differ from is accepted. */
TEST(good)
{
	struct bpf_link *link;
	struct reject *skel;

	skel = reject__open();
	ASSERT_NE(NULL, skel);
	no_tables(skel->obj);
	bpf_program__set_autoload(skel->progs.good, true);
	ASSERT_EQ(0, reject__load(skel));
	link = bpf_program__attach(skel->progs.good);
	ASSERT_NE(NULL, link);
	bpf_link__destroy(link);
	reject__destroy(skel);
}

/* What loading a program gives. */
static int load_prog(struct __test_metadata *_metadata, const char *name)
{
	struct bpf_program *prog;
	struct reject *skel;
	int err;

	skel = reject__open();
	ASSERT_NE(NULL, skel);
	no_tables(skel->obj);
	prog = bpf_object__find_program_by_name(skel->obj, name);
	ASSERT_NE(NULL, prog);
	bpf_program__set_autoload(prog, true);
	err = reject__load(skel);
	reject__destroy(skel);
	return err;
}

TEST(huge_values)
{
	EXPECT_EQ(-EFBIG, load_prog(_metadata, "uses_huge_values"));
}

TEST(huge_values_inside)
{
	EXPECT_EQ(-EFBIG, load_prog(_metadata, "uses_huge_values_inside"));
}

TEST(known_seed)
{
	EXPECT_EQ(-ELOOP, load_prog(_metadata, "uses_known_seed"));
}

/* Which map it is, if a helper is given a map that it may not be given. */
REFUSED(uses_huge_values, NULL,
	"map 'huge_values' has values larger than helpers may be given here")
REFUSED(uses_huge_values_inside, NULL,
	"map 'outer' has maps with values larger than helpers may be given here")
REFUSED(uses_known_seed, NULL, "map 'known_seed' has BPF_F_ZERO_SEED")

/* A control: what is addressed directly may be as large, as nothing copies it. */
TEST(huge_data)
{
	EXPECT_EQ(0, load_prog(_metadata, "uses_huge_data"));
}

TEST(not_gpl)
{
	struct license *skel;

	capture_libbpf();
	skel = license__open_and_load();
	EXPECT_EQ(NULL, skel);
	EXPECT_NE(NULL, strstr(captured_libbpf(),
			       "struct ops programs must have a GPL compatible license"));
	license__destroy(skel);
}

/* Attach a table that loads and is not in order. */
static int attach_table(struct __test_metadata *_metadata, const char *map_name, bool needs_prog)
{
	struct bpf_link *link;
	struct reject *skel;
	struct bpf_map *map;
	int err = 0;

	skel = reject__open();
	ASSERT_NE(NULL, skel);
	no_tables(skel->obj);
	bpf_program__set_autoload(skel->progs.tick, needs_prog);
	map = bpf_object__find_map_by_name(skel->obj, map_name);
	ASSERT_NE(NULL, map);
	bpf_map__set_autocreate(map, true);
	ASSERT_EQ(0, reject__load(skel));
	link = bpf_map__attach_struct_ops(map);
	if (!link)
		err = -errno;
	bpf_link__destroy(link);
	reject__destroy(skel);
	return err;
}

TEST(table_without_hooks)
{
	EXPECT_EQ(-EINVAL, attach_table(_metadata, "no_hooks", false));
	EXPECT_TRUE(kernel_log_has("policy no_hooks answers no hook"));
}

TEST(table_without_name)
{
	EXPECT_EQ(-EINVAL, attach_table(_metadata, "no_name", true));
	EXPECT_TRUE(kernel_log_has("a policy needs a name of letters, digits, '_', '.'"));
}

TEST(table_with_unknown_flags)
{
	EXPECT_EQ(-EINVAL, attach_table(_metadata, "bad_flags", true));
	EXPECT_TRUE(kernel_log_has("policy bad_flags: flags 0x"));
	EXPECT_TRUE(kernel_log_has(", 0x1 are accepted"));
}

TEST(table_without_link)
{
	EXPECT_EQ(-EOPNOTSUPP, attach_table(_metadata, "no_link", true));
}

/* The least program for a hook, as an unprivileged user and as root. */
TEST(unprivileged)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct btf *btf;
	int fd;

	btf = btf__load_vmlinux_btf();
	ASSERT_NE(NULL, btf);
	opts.attach_btf_id = btf__find_by_name_kind(btf, "bpf_sched_ops", BTF_KIND_STRUCT);
	ASSERT_GT((int)opts.attach_btf_id, 0);

	ASSERT_EQ(0, seteuid(65534));
	fd = bpf_prog_load(BPF_PROG_TYPE_STRUCT_OPS, "least", "GPL", insns, 2, &opts);
	EXPECT_EQ(-EPERM, fd);
	ASSERT_EQ(0, seteuid(0));
	fd = bpf_prog_load(BPF_PROG_TYPE_STRUCT_OPS, "least", "GPL", insns, 2, &opts);
	EXPECT_GE(fd, 0);
	close(fd);
	btf__free(btf);
}

TEST_HARNESS_MAIN
