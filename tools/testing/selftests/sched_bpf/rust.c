// SPDX-License-Identifier: GPL-2.0
/* Policies in Rust: the same hooks, effects, bounds and order as of BPF programs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"
#include "mirror.skel.h"

#define MODULE		"sched_bpf_test"
#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define TICK		"cfs_check_preempt_tick"
#define SLICE		"cfs_slice"

static const char * const hooks[] = { WAKEUP, ENTITY, TICK, SLICE };

/* The module beside this program, which is built if the kernel has what it needs. */
static const char *module_path(void)
{
	static char path[PATH_MAX];
	char exe[PATH_MAX - 64] = {};

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return "";
	snprintf(path, sizeof(path), "%s/" MODULE ".ko", dirname(exe));
	return path;
}

/* Why nothing can be tested here, or NULL. */
static const char *missing(void)
{
	if (!setup_cpus())
		return "two CPUs are needed";
	if (access(module_path(), R_OK))
		return "built for a kernel without CONFIG_RUST_BPF_SCHED";
	return NULL;
}

#define LOAD(params)	ASSERT_EQ(0, module_load(module_path(), params))
#define UNLOAD()	ASSERT_EQ(0, module_unload(MODULE))

FIXTURE(rust) {
	char cgroup[192];
	uint64_t cgroup_id;
	struct load loads[NR_MIXED_LOADS];
	uint64_t max_slice, max_share;
	bool ready;
};

FIXTURE_SETUP(rust)
{
	if (missing())
		SKIP(return, "%s", missing());
	ASSERT_EQ(0, cgroup_make(NULL, "rust", self->cgroup, sizeof(self->cgroup)));
	self->cgroup_id = cgroup_id(self->cgroup);
	self->max_slice = get_knob("max_slice_ns");
	self->max_share = get_knob("max_share");
	kernel_log_forget();
	self->ready = true;
}

FIXTURE_TEARDOWN(rust)
{
	int i;

	for (i = 0; i < NR_MIXED_LOADS; i++)
		load_stop(&self->loads[i]);
	module_unload(MODULE);
	module_unload("rust_sched_protect");
	module_unload("rust_sched_latency");
	if (!self->ready)
		return;
	set_knob("max_slice_ns", self->max_slice);
	set_knob("max_share", self->max_share);
	cgroup_remove(self->cgroup);
}

/* The path of the fixture's cgroup, as the kernel has it. */
#define CGROUP()	(self->cgroup + strlen(CGROUP_ROOT))

/* Asked all hooks, and gone when it is unloaded. */
TEST_F(rust, load_ask_unload)
{
	struct counters c;
	struct policy p;
	unsigned int i;

	ASSERT_EQ(0, mixed_loads_start(self->loads));
	LOAD("");
	sleep_ms(1000);
	ASSERT_EQ(0, read_policy("rust_empty", &p));
	EXPECT_EQ(0, p.link);
	EXPECT_EQ(0, p.map);
	EXPECT_EQ(0, p.cgroup);
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		ASSERT_EQ(0, read_counters("rust_empty", hooks[i], &c));
		EXPECT_GT(c.calls, 0);
		EXPECT_EQ(c.calls, c.zero);
		EXPECT_EQ(0, c.prog);
	}
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
	UNLOAD();
	EXPECT_EQ(-ENOENT, read_policy("rust_empty", &p));
}

/* What a policy does not answer is not asked: its slot is empty. */
TEST_F(rust, absent_methods_are_not_asked)
{
	struct counters c;
	unsigned int i;

	LOAD("policy=entity");
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		EXPECT_EQ(strcmp(hooks[i], ENTITY) ? -ENOENT : 0,
			  read_counters("rust_entity", hooks[i], &c));
}

struct refusal {
	const char *module, *params, *message;
	int err;
};

/* Each with its own errno and message, and without a trace. */
TEST_F(rust, refused)
{
	static const struct refusal refusals[] = {
		{ NULL, "policy=nosuch", "sched_bpf_test: policy=nosuch: there is no such policy",
		  -EINVAL },
		{ NULL, "policy=silent", NULL, -EINVAL },
		{ NULL, "cgroup=/nosuch", NULL, -ENOENT },
		{ "rust_sched_protect", "",
		  "rust_sched_protect: tgid=0 cgroup=: give one of the two", -EINVAL },
		{ "rust_sched_protect", "tgid=1 cgroup=/",
		  "rust_sched_protect: tgid=1 cgroup=/: give one of the two", -EINVAL },
		{ "rust_sched_protect", "tgid=-1", "tgid=-1 cgroup=: give one of the two",
		  -EINVAL },
		{ "rust_sched_protect", "cgroup=/no/such",
		  "rust_sched_protect: cgroup=/no/such: no such cgroup", -EINVAL },
		{ "rust_sched_protect", "tgid=1 cap_us=100001",
		  "rust_sched_protect: cap_us=100001: not in 0 to 100000", -ERANGE },
		{ "rust_sched_protect", "tgid=1 cap_us=-1", "cap_us=-1: not in", -ERANGE },
		{ "rust_sched_protect", "tgid=1 cap_us=ten", "cap_us=ten: not in", -ERANGE },
		{ "rust_sched_latency", "short_us=0",
		  "rust_sched_latency: short_us=0: not in 1 to 100000", -ERANGE },
		{ "rust_sched_latency", "short_us=100001", "short_us=100001: not in", -ERANGE },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *r = &refusals[i];
		int err;

		err = r->module ? modprobe_load(r->module, r->params) :
				  module_load(module_path(), r->params);
		EXPECT_EQ(r->err, err) TH_LOG("%s", r->params);
		if (r->message)
			EXPECT_TRUE(kernel_log_has(r->message)) TH_LOG("no \"%s\"", r->message);
	}
	EXPECT_EQ(0, count_policies("protect", TICK));
	EXPECT_EQ(0, count_policies("latency", SLICE));
}

/* Asked about tasks at or below its cgroup only. */
TEST_F(rust, scope)
{
	const struct load_attr outside = { .kind = HOG };
	struct load_attr inside = { .kind = HOG };
	char params[256];
	struct counters c;
	struct policy p;

	ASSERT_EQ(0, load_start(&self->loads[0], &outside));
	ASSERT_EQ(0, load_start(&self->loads[1], &outside));
	snprintf(params, sizeof(params), "policy=constant answer=-1 shadow=1 cgroup=%s", CGROUP());
	LOAD(params);
	ASSERT_EQ(0, read_policy("rust_constant", &p));
	EXPECT_EQ(self->cgroup_id, p.cgroup);
	EXPECT_EQ(BPF_SCHED_F_SHADOW, p.flags);
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("rust_constant", TICK, &c));
	EXPECT_EQ(0, c.calls);

	inside.cgroup = self->cgroup;
	ASSERT_EQ(0, load_start(&self->loads[2], &inside));
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("rust_constant", TICK, &c));
	EXPECT_GT(c.calls, 0);
	EXPECT_LE(c.calls - c.negative, BEING_ASKED);
}

/* Its policy is detached with its cgroup; the module stays and can be unloaded. */
TEST_F(rust, cgroup_removed)
{
	char params[256];
	struct policy p;

	snprintf(params, sizeof(params), "cgroup=%s", CGROUP());
	LOAD(params);
	ASSERT_EQ(0, read_policy("rust_empty", &p));
	cgroup_remove(self->cgroup);
	EXPECT_TRUE(policy_gone("rust_empty"));
	UNLOAD();
	ASSERT_EQ(0, mkdir(self->cgroup, 0755));
}

/* It is not asked any more, named, and detached; the module stays. */
TEST_F(rust, slow_is_detached)
{
	ASSERT_EQ(0, mixed_loads_start(self->loads));
	ASSERT_EQ(0, set_knob("max_share", 5));
	LOAD("policy=slow");
	EXPECT_TRUE(policy_gone("rust_slow"));
	EXPECT_TRUE(kernel_log_has("policy rust_slow (id "));
	EXPECT_TRUE(kernel_log_has("took too much time of a CPU; detached"));
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
	UNLOAD();
}

/* A request grows up to max_slice_ns, and "keep" is overruled there. */
TEST_F(rust, keep_is_bounded)
{
	uint64_t few, many;
	struct counters c;

	LOAD("policy=constant answer=-1");
	ASSERT_EQ(0, set_knob("max_slice_ns", 100 * NSEC_PER_MSEC));
	few = hog_switches(NULL, 0);
	ASSERT_EQ(0, set_knob("max_slice_ns", 10 * NSEC_PER_MSEC));
	many = hog_switches(NULL, 0);
	ASSERT_EQ(0, read_counters("rust_constant", TICK, &c));

	TH_LOG("switches: at 100 ms %lu, at 10 ms %lu, overruled %lu", few, many, c.overruled);
	EXPECT_GT(few, 0);
	EXPECT_GT(many, 3 * few);
	EXPECT_GT(c.overruled_slice, 0);
	EXPECT_EQ(c.overruled, c.overruled_slice);
	UNLOAD();
}

/* What a task that has a slice of its own asked for is not made longer. */
TEST_F(rust, keep_leaves_own_slices)
{
	struct counters c;

	LOAD("policy=constant answer=-1");
	EXPECT_GT(hog_switches(NULL, NSEC_PER_MSEC), 0);
	ASSERT_EQ(0, read_counters("rust_constant", TICK, &c));
	EXPECT_GT(c.overruled_custom, 0);
	UNLOAD();
}

/* Requests of 50 ms end less often than those that the fair class makes. */
TEST_F(rust, long_slices)
{
	uint64_t stock, longer, after;

	stock = hog_switches(NULL, 0);
	LOAD("policy=slice slice_us=50000");
	longer = hog_switches(NULL, 0);
	UNLOAD();
	after = hog_switches(NULL, 0);

	TH_LOG("switches: stock %lu, 50 ms %lu, after %lu", stock, longer, after);
	EXPECT_GT(longer, 0);
	EXPECT_GT(stock, 4 * longer);
	EXPECT_GT(2 * after, stock);
}

/*
 * A length of no time is the shortest request, 0.1 ms, and one that does not fit into
 * an int the longest: neither is the lack of an opinion.
 */
TEST_F(rust, slice_is_bounded)
{
	static const char * const params[] = {
		"policy=slice slice_us=0",
		"policy=slice slice_us=18446744073709551615",
	};
	uint64_t n[ARRAY_SIZE(params)];
	struct counters c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		LOAD(params[i]);
		n[i] = hog_switches(NULL, 0);
		ASSERT_EQ(0, read_counters("rust_slice", SLICE, &c));
		EXPECT_GT(c.calls, 0);
		EXPECT_EQ(c.calls, c.positive);
		EXPECT_GT(2 * c.overruled_slice, c.calls);
		UNLOAD();
	}
	TH_LOG("switches: shortest %lu, longest %lu", n[0], n[1]);
	EXPECT_GT(n[1], 0);
	EXPECT_GT(n[0], 4 * n[1]);
}

/* A task wakes up where it is put, and the kernel has no CPU of another number. */
TEST_F(rust, tasks_are_placed)
{
	static const int cpus[] = { LOAD_CPU, TEST_CPU, LOAD_CPU };
	const struct load_attr attr = { .kind = SLEEPER, .on_both = true,
					.cgroup = self->cgroup };
	char params[256];
	struct counters c;
	unsigned int i;
	int j, there;

	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		snprintf(params, sizeof(params), "policy=here answer=%d cgroup=%s", cpus[i],
			 CGROUP());
		LOAD(params);
		sleep_ms(100);
		for (j = there = 0; j < 50; j++) {
			sleep_ms(5);
			there += cpu_of(self->loads[0].pid) == cpus[i];
		}
		EXPECT_GE(there, 45);
		ASSERT_EQ(0, read_counters("rust_here", "cfs_select_cpu", &c));
		EXPECT_GT(c.positive, 50);
		EXPECT_LE(c.calls - c.positive, BEING_ASKED);
		EXPECT_EQ(0, c.overruled);
		UNLOAD();
	}
	EXPECT_EQ(-EINVAL, module_load(module_path(), "policy=here answer=4096"));
}

/* What an entity shows of its rq, with no policy in BPF beside. */
TEST_F(rust, views_of_the_rq)
{
	const struct load_attr attr = { .kind = HOG };
	struct counters c;

	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	LOAD("policy=views shadow=1");
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("rust_views", TICK, &c));
	EXPECT_GT(c.calls, 0);
	EXPECT_LE(c.calls - c.negative, BEING_ASKED);
	UNLOAD();
}

/* Of two opinions the first one asked counts, whoever has it. */
TEST_F(rust, order_with_bpf)
{
	const struct load_attr attr = { .kind = HOG };
	struct counters alone, bpf, rust;
	struct bpf_link *link;
	struct answer *skel;
	struct policy p;
	int first;

	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	skel = answer__open_and_load();
	ASSERT_NE(NULL, skel);
	skel->bss->tick_answer = -1;
	for (first = 0; first < 2; first++) {
		link = bpf_map__attach_struct_ops(skel->maps.only_tick);
		ASSERT_NE(NULL, link);
		LOAD(first ? "policy=constant answer=-1 first=1" : "policy=constant answer=-1");
		ASSERT_EQ(0, read_policy("rust_constant", &p));
		EXPECT_EQ(!first, p.position);
		ASSERT_EQ(0, read_counters("answer_tick", TICK, &alone));
		sleep_ms(500);
		ASSERT_EQ(0, read_counters("rust_constant", TICK, &rust));
		ASSERT_EQ(0, read_counters("answer_tick", TICK, &bpf));
		TH_LOG("rust %s: rust asked %lu times, bpf %lu", first ? "first" : "last",
		       rust.calls, bpf.calls - alone.calls);
		if (first) {
			EXPECT_GT(rust.calls, 100);
			EXPECT_EQ(alone.calls, bpf.calls);
		} else {
			EXPECT_EQ(0, rust.calls);
			EXPECT_GT(bpf.calls, alone.calls + 100);
		}
		UNLOAD();
		bpf_link__destroy(link);
	}
	answer__destroy(skel);
}

/* BPF_F_PREORDER: before a policy of a deeper cgroup. */
TEST_F(rust, preorder)
{
	struct load_attr attr = { .kind = HOG };
	struct counters deep, rust;
	struct bpf_link *link;
	struct answer *skel;
	int fd;

	attr.cgroup = self->cgroup;
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	skel = answer__open_and_load();
	ASSERT_NE(NULL, skel);
	skel->bss->tick_answer = -1;
	LOAD("policy=constant answer=-1 preorder=1");
	fd = open(self->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	link = bpf_map__attach_cgroup_opts(skel->maps.only_tick, fd, NULL);
	close(fd);
	ASSERT_NE(NULL, link);
	sleep_ms(500);
	ASSERT_EQ(0, read_counters("rust_constant", TICK, &rust));
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &deep));
	EXPECT_GT(rust.calls, 0);
	EXPECT_EQ(0, deep.calls);
	bpf_link__destroy(link);
	answer__destroy(skel);
}

/*
 * The same policy in both languages is asked the same questions, as the tasks move
 * into the cgroup of both after they are attached, and out again. Its answers follow
 * from all that a policy sees of a question.
 */
TEST_F(rust, answers_are_those_of_bpf)
{
	struct counters bpf, rust;
	struct bpf_link *link;
	struct mirror *skel;
	char params[256];
	int fd, round;
	unsigned int h;

	/* Both look at more than policies do. */
	ASSERT_EQ(0, set_knob("max_share", 50));
	ASSERT_EQ(0, mixed_loads_start(self->loads));
	skel = mirror__open_and_load();
	ASSERT_NE(NULL, skel);
	fd = open(self->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	link = bpf_map__attach_cgroup_opts(skel->maps.mirror, fd, NULL);
	close(fd);
	ASSERT_NE(NULL, link);
	snprintf(params, sizeof(params), "policy=mirror shadow=1 cgroup=%s", CGROUP());
	LOAD(params);

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, mixed_loads_move(self->loads, self->cgroup));
		sleep_ms(1000);
		ASSERT_EQ(0, mixed_loads_move(self->loads, CGROUP_ROOT));
		sleep_ms(100);
	}

	for (h = 0; h < ARRAY_SIZE(hooks); h++) {
		ASSERT_EQ(0, read_counters("bpf_mirror", hooks[h], &bpf));
		ASSERT_EQ(0, read_counters("rust_mirror", hooks[h], &rust));
		TH_LOG("%s: asked %lu times, below zero %lu, zero %lu, above %lu, differ %lu",
		       hooks[h], bpf.calls, bpf.negative, bpf.zero, bpf.positive, bpf.differ);
		EXPECT_GT(bpf.calls, 50);
		if (strcmp(hooks[h], SLICE))
			EXPECT_GT(bpf.negative, 0);
		EXPECT_GT(bpf.zero, 0);
		EXPECT_GT(bpf.positive, 0);
		EXPECT_EQ(bpf.calls, rust.calls);
		EXPECT_EQ(bpf.negative, rust.negative);
		EXPECT_EQ(bpf.zero, rust.zero);
		EXPECT_EQ(bpf.positive, rust.positive);
		EXPECT_EQ(bpf.overruled_slice, rust.overruled_slice);
		EXPECT_EQ(bpf.overruled_eligible, rust.overruled_eligible);
		EXPECT_EQ(bpf.overruled_short, rust.overruled_short);
		EXPECT_EQ(bpf.overruled_custom, rust.overruled_custom);
		EXPECT_EQ(bpf.overruled_delegated, rust.overruled_delegated);
		EXPECT_EQ(bpf.differ, rust.differ);
	}
	bpf_link__destroy(link);
	mirror__destroy(skel);
}

/*
 * A registration that the module forgets, which is safe in Rust, does not outlive the
 * module: whether that is unloaded or fails to be loaded.
 */
TEST_F(rust, forgotten_goes_with_its_module)
{
	struct counters c;
	struct policy p;

	ASSERT_EQ(0, mixed_loads_start(self->loads));
	LOAD("policy=forgotten");
	sleep_ms(100);
	ASSERT_EQ(0, read_counters("rust_constant", TICK, &c));
	EXPECT_GT(c.calls, 0);
	UNLOAD();
	EXPECT_EQ(-ENOENT, read_policy("rust_constant", &p));
	EXPECT_EQ(-ENOENT, module_load(module_path(), "policy=forgotten cgroup=/nosuch"));
	EXPECT_EQ(-ENOENT, read_policy("rust_constant", &p));
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
}

/* Loaded and unloaded while its callbacks run; SCHED_BPF_UNLOADS for fewer times. */
TEST_F_TIMEOUT(rust, unloaded_under_load, 600)
{
	const char *times = getenv("SCHED_BPF_UNLOADS");
	int i, n = times ? atoi(times) : 1000, asked = 0;
	struct counters c;

	ASSERT_EQ(0, mixed_loads_start(self->loads));
	for (i = 0; i < n; i++) {
		LOAD("");
		if (!(i % 50)) {
			sleep_ms(20);
			ASSERT_EQ(0, read_counters("rust_empty", TICK, &c));
			asked += c.calls > 0;
		}
		UNLOAD();
	}
	TH_LOG("%d times, asked in %d of %d looked at", n, asked, (n + 49) / 50);
	EXPECT_GT(asked, n / 100);
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
}

/* Replaced by itself many times while it is asked. */
TEST_F_TIMEOUT(rust, replaced_under_load, 300)
{
	ASSERT_EQ(0, mixed_loads_start(self->loads));
	LOAD("policy=replaced replacements=500");
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
	UNLOAD();
}

#define STATS	"/sys/kernel/debug/sched/bpf/stats"

/* What the policy of this name counts itself; below zero if it does not. */
static long read_stat(const char *policy, const char *stat)
{
	char name[64], what[64];
	long value, found = -ENOENT;
	FILE *f = fopen(STATS, "r");

	if (!f)
		return -errno;
	if (fscanf(f, "id name stat value") < 0)
		found = -EINVAL;
	while (fscanf(f, "%*u %63s %63s %ld", name, what, &value) == 3) {
		if (!strcmp(name, policy) && !strcmp(what, stat))
			found = value;
	}
	fclose(f);
	return found;
}

static int write_param(const char *module, const char *param, const char *value)
{
	char path[128];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, param);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static long read_param(const char *module, const char *param)
{
	char path[128];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, param);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	if (fscanf(f, "%ld", &value) != 1)
		value = -EINVAL;
	fclose(f);
	return value;
}

/* So many tasks, one after the other; returns whether they were there. */
static bool tasks_come_and_go(int n)
{
	int status;

	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return false;
	}
	return true;
}

/* Tasks that come and go do not make it forget one that stays, nor fill it. */
TEST_F_TIMEOUT(rust, tasks_are_remembered, 120)
{
	const struct load_attr attr = { .kind = HOG };
	long new, found, before;
	const int n = 2000;

	LOAD("policy=remember");
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	sleep_ms(100);
	before = read_stat("rust_remember", "new");
	ASSERT_TRUE(tasks_come_and_go(n));
	new = read_stat("rust_remember", "new") - before;
	EXPECT_GE(new, n);
	/* From now on only those that stay are asked about: none of them is new. */
	before = read_stat("rust_remember", "new");
	found = read_stat("rust_remember", "found");
	sleep_ms(500);
	EXPECT_GT(read_stat("rust_remember", "found"), found + 50);
	TH_LOG("%d tasks came and went, %ld were new, then %ld", n, new,
	       read_stat("rust_remember", "new") - before);
	EXPECT_LT(read_stat("rust_remember", "new") - before, n / 10);
	/* A space would end the column. */
	EXPECT_EQ(0, read_stat("rust_remember", "no\\040room"));
	UNLOAD();
	EXPECT_EQ(-ENOENT, read_stat("rust_remember", "new"));
}

/* Memory that can be had, in KiB; below zero if that is not known. */
static long mem_available(void)
{
	static const char format[] = "MemTotal: %*d kB MemFree: %*d kB MemAvailable: %ld kB";
	char text[256];
	long kib;
	int err;

	err = read_file("/proc/meminfo", text, sizeof(text));
	if (err)
		return err;
	return sscanf(text, format, &kib) == 1 ? kib : -EINVAL;
}

/*
 * What is remembered of a task, more than 2 KiB, is freed with it. Those before that are
 * measured fill what keeps freed memory: caches, the quarantine of KASAN.
 */
TEST_F_TIMEOUT(rust, state_is_freed_with_its_task, 600)
{
	long new, before, lost;
	const int n = 4000;

	LOAD("policy=remember");
	ASSERT_TRUE(tasks_come_and_go(n / 2));
	sleep_ms(1000);
	before = mem_available();
	ASSERT_GT(before, 0);
	new = read_stat("rust_remember", "new");
	ASSERT_TRUE(tasks_come_and_go(n));
	EXPECT_GE(read_stat("rust_remember", "new") - new, n);
	/* Grace periods. */
	sleep_ms(1000);
	lost = before - mem_available();
	TH_LOG("%ld KiB less after %d tasks that had 2 KiB each", lost, n);
	EXPECT_LT(lost, n * 2 / 2);
	UNLOAD();
}

/* A parameter with a range takes effect at once, and what is outside of it does not. */
TEST_F(rust, parameters_are_changed)
{
	uint64_t stock, kept, after;

	LOAD("policy=changed");
	EXPECT_EQ(0, read_param(MODULE, "now"));
	stock = hog_switches(NULL, 0);
	ASSERT_EQ(0, write_param(MODULE, "now", "-1\n"));
	EXPECT_EQ(-1, read_param(MODULE, "now"));
	kept = hog_switches(NULL, 0);
	ASSERT_EQ(0, write_param(MODULE, "now", "0"));
	after = hog_switches(NULL, 0);
	TH_LOG("switches: stock %lu, kept %lu, after %lu", stock, kept, after);
	EXPECT_GT(kept, 0);
	EXPECT_GT(stock, 4 * kept);
	EXPECT_GT(2 * after, stock);

	EXPECT_EQ(-ERANGE, write_param(MODULE, "now", "2"));
	EXPECT_TRUE(kernel_log_has(MODULE ": now=2: not in -1 to 1"));
	EXPECT_EQ(-ERANGE, write_param(MODULE, "now", "many"));
	EXPECT_TRUE(kernel_log_has(MODULE ": now=many: not in -1 to 1"));
	EXPECT_EQ(0, read_param(MODULE, "now"));
	/* One without a range is what it was when the module was loaded. */
	EXPECT_EQ(-ENOENT, write_param(MODULE, "answer", "1"));
	UNLOAD();

	ASSERT_EQ(0, modprobe_load("rust_sched_latency", "short_us=7"));
	EXPECT_EQ(7, read_param("rust_sched_latency", "short_us"));
	EXPECT_EQ(0, read_stat("latency", "forgotten"));
}

/* What callbacks leave is taken where code may sleep, which can replace the policy. */
TEST_F(rust, work_in_process_context)
{
	long posted, full, taken, worked;
	struct policy before, after;

	ASSERT_EQ(0, mixed_loads_start(self->loads));
	LOAD("policy=worker");
	ASSERT_EQ(0, read_policy("rust_worker", &before));
	sleep_ms(500);
	posted = read_stat("rust_worker", "posted");
	full = read_stat("rust_worker", "full");
	taken = read_stat("rust_worker", "taken");
	worked = read_stat("rust_worker", "worked");
	TH_LOG("posted %ld, taken %ld in %ld turns; %ld did not fit", posted, taken, worked, full);
	EXPECT_GT(posted, 50);
	EXPECT_GT(worked, 10);
	/* 64 may be on their way. */
	EXPECT_LE(posted, taken + 64);

	ASSERT_EQ(0, write_param(MODULE, "now", "-1"));
	sleep_ms(500);
	EXPECT_TRUE(kernel_log_has(MODULE ": replaced"));
	EXPECT_EQ(-ENOENT, read_policy("rust_worker", &after));
	ASSERT_EQ(0, read_policy("rust_constant", &after));
	EXPECT_EQ(before.id, after.id);
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
	UNLOAD();
}

/* Its work goes with it. */
TEST_F_TIMEOUT(rust, unloaded_while_it_works, 120)
{
	int i;

	ASSERT_EQ(0, mixed_loads_start(self->loads));
	for (i = 0; i < 50; i++) {
		LOAD(i % 2 ? "policy=worker now=-1" : "policy=worker");
		if (!(i % 10))
			sleep_ms(20);
		UNLOAD();
	}
	EXPECT_EQ(0, mixed_loads_stuck(self->loads));
}

/* The same answer has the same effect, whoever gives it. */
FIXTURE(effect) {
	struct answer *skel;
	struct bpf_link *link;
};

FIXTURE_VARIANT(effect) {
	bool rust;
};

FIXTURE_VARIANT_ADD(effect, bpf) {
	.rust = false,
};

FIXTURE_VARIANT_ADD(effect, rust) {
	.rust = true,
};

FIXTURE_SETUP(effect)
{
	if (missing())
		SKIP(return, "%s", missing());
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(effect)
{
	bpf_link__destroy(self->link);
	answer__destroy(self->skel);
	module_unload(MODULE);
}

/* The policy of this name in Rust, or that of this map in BPF. */
#define ATTACH(policy, map, answer) do {					\
	char params[64];							\
										\
	if (variant->rust) {							\
		snprintf(params, sizeof(params), "policy=" policy " answer=%d", answer); \
		LOAD(params);							\
	} else {								\
		self->skel->bss->wakeup_answer = answer;			\
		self->skel->bss->entity_answer = answer;			\
		self->skel->bss->tick_answer = answer;				\
		self->link = bpf_map__attach_struct_ops(self->skel->maps.map);	\
		ASSERT_NE(NULL, self->link);					\
	}									\
} while (0)

#define DETACH() do {								\
	if (variant->rust) {							\
		UNLOAD();							\
	} else {								\
		bpf_link__destroy(self->link);					\
		self->link = NULL;						\
	}									\
} while (0)

TEST_F(effect, keep_running)
{
	uint64_t stock, kept, after;

	stock = hog_switches(NULL, 0);
	ATTACH("constant", all_hooks, -1);
	kept = hog_switches(NULL, 0);
	DETACH();
	after = hog_switches(NULL, 0);

	TH_LOG("switches: stock %lu, kept %lu, after %lu", stock, kept, after);
	EXPECT_GT(kept, 0);
	EXPECT_GT(stock, 4 * kept);
	EXPECT_GT(2 * after, stock);
}

TEST_F(effect, end_request)
{
	const uint64_t slice = 50 * NSEC_PER_MSEC;
	uint64_t stock, ended, after;

	stock = hog_switches(NULL, slice);
	ATTACH("constant", all_hooks, 1);
	ended = hog_switches(NULL, slice);
	DETACH();
	after = hog_switches(NULL, slice);

	TH_LOG("switches: stock %lu, ended %lu, after %lu", stock, ended, after);
	EXPECT_GT(ended, 4 * stock);
	EXPECT_LT(after, 2 * stock + 10);
}

#define DO_NOT_PREEMPT(policy, map) do {					\
	const uint64_t slice = 100 * NSEC_PER_MSEC;				\
	struct rounds stock, denied, after;					\
										\
	stock = sleeper_rounds(NULL, 1, slice);					\
	ATTACH(policy, map, -1);						\
	denied = sleeper_rounds(NULL, 1, slice);				\
	DETACH();								\
	after = sleeper_rounds(NULL, 1, slice);					\
	TH_LOG("rounds: stock %lu, denied %lu, after %lu",			\
	       stock.all, denied.all, after.all);				\
	EXPECT_GT(denied.all, 0);						\
	EXPECT_GT(stock.all, 4 * denied.all);					\
	EXPECT_GT(after.all, 4 * denied.all);					\
} while (0)

TEST_F(effect, do_not_preempt)
{
	DO_NOT_PREEMPT("constant", all_hooks);
}

TEST_F(effect, do_not_preempt_entity)
{
	DO_NOT_PREEMPT("entity", only_entity);
}

/* The samples do what they promise. */
TEST_F(rust, protect_keeps_the_cpu_of_a_cgroup)
{
	uint64_t stock, protected, after;
	char params[256];

	stock = hog_switches(self->cgroup, 0);
	snprintf(params, sizeof(params), "cgroup=%s cap_us=50000", CGROUP());
	ASSERT_EQ(0, modprobe_load("rust_sched_protect", params));
	protected = hog_switches(self->cgroup, 0);
	ASSERT_EQ(0, module_unload("rust_sched_protect"));
	after = hog_switches(self->cgroup, 0);

	TH_LOG("switches: stock %lu, protected %lu, after %lu", stock, protected, after);
	EXPECT_GT(protected, 0);
	EXPECT_GT(stock, 3 * protected);
	EXPECT_GT(2 * after, stock);
}

#define PROMPTER(module, params) do {						\
	struct rounds stock, with, after;					\
	int tries = 3;								\
										\
	do {									\
		stock = sleeper_rounds(self->cgroup, MAX_HOGS, 0);		\
		ASSERT_EQ(0, modprobe_load(module, params));			\
		with = sleeper_rounds(self->cgroup, MAX_HOGS, 0);		\
		ASSERT_EQ(0, module_unload(module));				\
		after = sleeper_rounds(self->cgroup, MAX_HOGS, 0);		\
		TH_LOG("late: stock %lu of %lu, with %lu of %lu, after %lu of %lu", \
		       stock.late, stock.all, with.late, with.all, after.late, after.all); \
	} while (!(is_prompter(with, stock) && is_prompter(with, after)) && --tries); \
	EXPECT_GT(tries, 0);							\
} while (0)

TEST_F(rust, protect_prefers_a_cgroup)
{
	char params[256];

	snprintf(params, sizeof(params), "cgroup=%s", CGROUP());
	PROMPTER("rust_sched_protect", params);
}

TEST_F(rust, protect_keeps_the_cpu_of_a_process)
{
	const struct load_attr attr = { .kind = HOG };
	uint64_t stock, protected;
	char params[64];

	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	sleep_ms(100);
	stock = switches(self->loads[0].pid);
	sleep_ms(1000);
	stock = switches(self->loads[0].pid) - stock;
	snprintf(params, sizeof(params), "tgid=%d cap_us=50000", self->loads[0].pid);
	ASSERT_EQ(0, modprobe_load("rust_sched_protect", params));
	protected = switches(self->loads[0].pid);
	sleep_ms(1000);
	protected = switches(self->loads[0].pid) - protected;

	TH_LOG("switches: stock %lu, protected %lu", stock, protected);
	EXPECT_GT(protected, 0);
	EXPECT_GT(stock, 3 * protected);
}

/* Nobody tells it which task runs shortly. */
TEST_F(rust, latency_finds_the_short_ones)
{
	PROMPTER("rust_sched_latency", "");
}

/* Rounds of a sleeper beside hogs, with the share of the CPU that it wants in percent. */
struct service {
	int nr_hogs;
	uint64_t work_us, sleep_us;
	int wants;
	bool hogs_slept;
};

/* It sleeps, and runs shortly in between, before it computes for good. */
static void let_sleep(pid_t pid)
{
	int i;

	for (i = 0; i < 30; i++) {
		kill(pid, SIGSTOP);
		sleep_ms(1);
		kill(pid, SIGCONT);
	}
}

static struct rounds service_rounds(const struct service *s)
{
	const struct load_attr hog_attr = { .kind = HOG };
	const struct load_attr attr = {
		.kind = SLEEPER,
		.work_ns = s->work_us * 1000,
		.sleep_ns = s->sleep_us * 1000,
	};
	struct load hogs[MAX_HOGS] = {}, sleeper = {};
	struct rounds r = {};
	uint64_t prompt;
	int i, err = 0;

	for (i = 0; i < s->nr_hogs && !err; i++) {
		err = load_start(&hogs[i], &hog_attr);
		if (!err && s->hogs_slept)
			let_sleep(hogs[i].pid);
	}
	if (!err && !load_start(&sleeper, &attr)) {
		/* What is late while it is learned does not count. */
		sleep_ms(300);
		r.all = sleeper.stats->rounds;
		prompt = sleeper.stats->prompt;
		sleep_ms(2000);
		r.all = sleeper.stats->rounds - r.all;
		r.late = r.all - (sleeper.stats->prompt - prompt);
	}
	load_stop(&sleeper);
	for (i = 0; i < s->nr_hogs; i++)
		load_stop(&hogs[i]);
	return r;
}

/*
 * How often it is late is no matter of luck: of the number of hogs, of what they did before,
 * and of how long it runs, as long as it wants less than its share and a request of twice its
 * run is shorter than others. Where it wants more, no policy helps: it is not eligible. How
 * often it is late with nothing beside it is the kernel's, as one that checks itself.
 */
TEST_F_TIMEOUT(rust, latency_does_not_depend_on_luck, 120)
{
	static const struct service services[] = {
		{ 1,  50, 1000,  5 },
		{ 3,  50, 1000,  5 },
		{ 4,  50, 1000,  5 },
		{ 3, 490, 4000, 11 },
		{ 4, 490, 4000, 11 },
		{ 4, 490, 4000, 11, .hogs_slept = true },
		{ 4, 490, 1000, 33 },
	};
	struct rounds alone, stock, with;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(services); i++) {
		const struct service *s = &services[i];
		struct service nobody = *s;

		nobody.nr_hogs = 0;
		alone = service_rounds(&nobody);
		stock = service_rounds(s);
		ASSERT_EQ(0, modprobe_load("rust_sched_latency", ""));
		with = service_rounds(s);
		ASSERT_EQ(0, module_unload("rust_sched_latency"));
		TH_LOG("%d hogs, %lu us, %d %%: late alone %lu/%lu, stock %lu/%lu, with %lu/%lu",
		       s->nr_hogs, s->work_us, s->wants, alone.late, alone.all,
		       stock.late, stock.all, with.late, with.all);
		EXPECT_GT(with.all, 100);
		EXPECT_EQ(s->wants * (s->nr_hogs + 1) < 100,
			  20 * with.late <= with.all + 40 * alone.late);
	}
}

TEST_F(rust, latency_in_the_shadow_only_counts)
{
	struct rounds stock, with;
	struct counters c;

	stock = sleeper_rounds(NULL, MAX_HOGS, 0);
	ASSERT_EQ(0, modprobe_load("rust_sched_latency", "shadow=1"));
	with = sleeper_rounds(NULL, MAX_HOGS, 0);
	ASSERT_EQ(0, read_counters("latency", SLICE, &c));

	TH_LOG("late: stock %lu of %lu, in the shadow %lu of %lu; %lu answers, %lu would differ",
	       stock.late, stock.all, with.late, with.all, c.positive, c.differ);
	EXPECT_GT(c.positive, 0);
	EXPECT_GT(c.differ, 0);
	EXPECT_GT(2 * with.late * stock.all, stock.late * with.all);
}

TEST_HARNESS_MAIN
