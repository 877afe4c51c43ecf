// SPDX-License-Identifier: GPL-2.0
/* What can be seen of a policy: counters, times, ids, tracepoints. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "answer.skel.h"
#include "lib.h"

#define TICK		"cfs_check_preempt_tick"
#define WAKEUP		"cfs_check_preempt_wakeup"
#define ENTITY		"cfs_wakeup_preempt_entity"
#define SLICE		"cfs_slice"
#define PHASE_MS	500
#define TRACEFS		"/sys/kernel/tracing/"
#define BPF_STATS	"/proc/sys/kernel/bpf_stats_enabled"

FIXTURE(stats) {
	struct answer *skel;
	struct load loads[3];
	struct bpf_link *link;
};

FIXTURE_SETUP(stats)
{
	struct load_attr attr = { .kind = HOG };

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->skel = answer__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	attr.kind = SLEEPER;
	ASSERT_EQ(0, load_start(&self->loads[2], &attr));
}

FIXTURE_TEARDOWN(stats)
{
	int i;

	bpf_link__destroy(self->link);
	for (i = 0; i < 3; i++)
		load_stop(&self->loads[i]);
	answer__destroy(self->skel);
	write_file(BPF_STATS, "0");
}

#define ATTACH(map) ({								\
	self->link = bpf_map__attach_struct_ops(self->skel->maps.map);		\
	ASSERT_NE(NULL, self->link);						\
})

static void expect_prog(struct __test_metadata *_metadata, uint64_t id, const char *hook,
			const struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	struct counters c;

	ASSERT_EQ(0, bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len));
	ASSERT_EQ(0, read_counters_of(id, hook, &c));
	EXPECT_EQ(info.id, c.prog);
}

/* All that the tables say of a policy is what others say of the same objects. */
TEST_F(stats, ids)
{
	struct bpf_link_info link = {};
	__u32 len = sizeof(link);
	struct timespec now;
	struct policy p;
	uint64_t ns;

	ATTACH(all_hooks);
	clock_gettime(CLOCK_BOOTTIME, &now);
	ns = now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &link, &len));
	ASSERT_EQ(0, read_policy("answer_all", &p));
	EXPECT_EQ(link.id, p.link);
	EXPECT_EQ(link.struct_ops.map_id, p.map);
	EXPECT_EQ(0, p.cgroup);
	EXPECT_EQ(0, p.flags);
	EXPECT_LE(p.attached_ns, ns);
	EXPECT_GT(p.attached_ns, ns - 10 * NSEC_PER_SEC);

	sleep_ms(PHASE_MS);
	EXPECT_EQ(p.id, self->skel->bss->tick_this);
	expect_prog(_metadata, p.id, TICK, self->skel->progs.answer_tick);
	expect_prog(_metadata, p.id, WAKEUP, self->skel->progs.answer_wakeup);
	expect_prog(_metadata, p.id, ENTITY, self->skel->progs.answer_entity);
	expect_prog(_metadata, p.id, SLICE, self->skel->progs.answer_slice);
}

/* Each call has one answer, and it is counted as what it is. */
TEST_F(stats, answers)
{
	struct counters c;
	int answer;

	for (answer = -1; answer <= 1; answer++) {
		self->skel->bss->tick_answer = answer;
		ATTACH(only_tick);
		sleep_ms(PHASE_MS);
		ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
		EXPECT_GT(c.calls, 10);
		EXPECT_EQ(answer < 0, c.negative > 0);
		EXPECT_EQ(answer == 0, c.zero > BEING_ASKED);
		EXPECT_EQ(answer > 0, c.positive > 0);
		/* The table is not read in one moment. */
		EXPECT_LE(labs((long)(c.calls - c.negative - c.zero - c.positive)), 2);
		EXPECT_LE(c.overruled, c.negative + c.positive);
		EXPECT_EQ(0, c.differ);
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
}

/*
 * Time is only added up while it is asked for. Some calls are timed in any case, to
 * see that they do not take too much.
 */
TEST_F(stats, time)
{
	struct counters c[3];

	ATTACH(only_tick);
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c[0]));
	EXPECT_GT(c[0].calls, 0);
	EXPECT_EQ(0, c[0].time_ns);
	EXPECT_EQ(0, c[0].max_ns);
	EXPECT_GT(c[0].timed, 0);
	EXPECT_LE(c[0].timed, c[0].calls);

	ASSERT_EQ(0, write_file(BPF_STATS, "1"));
	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, write_file(BPF_STATS, "0"));
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c[1]));
	TH_LOG("%lu calls took %lu ns, the longest %lu ns", c[1].calls - c[0].calls,
	       c[1].time_ns, c[1].max_ns);
	EXPECT_GT(c[1].time_ns, 0);
	EXPECT_GT(c[1].max_ns, 0);
	EXPECT_LE(c[1].max_ns, c[1].time_ns);
	EXPECT_GE(c[1].max_ns * (c[1].calls - c[0].calls + 2), c[1].time_ns);

	sleep_ms(PHASE_MS);
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c[2]));
	EXPECT_GT(c[2].calls, c[1].calls);
	EXPECT_GT(c[2].timed, c[1].timed);
	EXPECT_EQ(c[1].time_ns, c[2].time_ns);
}

/*
 * The link itself tells of its policy what the tables say, to who holds it and cannot
 * read them.
 */
TEST_F(stats, fdinfo)
{
	char path[64], buf[4096], want[128], *line;
	struct counters c;
	struct policy p;

	self->skel->bss->tick_answer = 1;
	ATTACH(only_tick);
	sleep_ms(PHASE_MS);
	/* So that nothing is counted between the two. */
	ASSERT_EQ(0, set_knob("enabled", 0));
	sleep_ms(20);
	ASSERT_EQ(0, read_policy("answer_tick", &p));
	ASSERT_EQ(0, read_counters("answer_tick", TICK, &c));
	EXPECT_GT(c.positive, 10);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(self->link));
	EXPECT_EQ(0, read_file(path, buf, sizeof(buf)));
	ASSERT_EQ(0, set_knob("enabled", 1));

	snprintf(want, sizeof(want), "policy:\t%lu answer_tick\n", p.id);
	EXPECT_NE(NULL, strstr(buf, want));
	snprintf(want, sizeof(want), "\n" TICK ":\tcalls %lu negative %lu positive %lu ",
		 c.calls, c.negative, c.positive);
	line = strstr(buf, want);
	EXPECT_NE(NULL, line) {
		TH_LOG("no %s in %s", want + 1, buf);
	}
	/* No line for a hook that it does not answer. */
	EXPECT_EQ(NULL, strstr(buf, WAKEUP));
	/* And nothing of a policy that is gone. */
	ASSERT_EQ(0, bpf_link__detach(self->link));
	EXPECT_EQ(0, read_file(path, buf, sizeof(buf)));
	EXPECT_EQ(NULL, strstr(buf, "policy:"));
}

/* Does the trace have a line with both of these? */
static bool traced(const char *event, const char *fields)
{
	static char buf[1 << 20];
	char *line, *save;

	if (read_file(TRACEFS "trace", buf, sizeof(buf)))
		return false;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, event) && strstr(line, fields))
			return true;
	}
	return false;
}

TEST_F(stats, tracepoints)
{
	uint64_t max_slice = get_knob("max_slice_ns");
	char fields[128];
	struct policy p;

	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	ASSERT_EQ(0, write_file(TRACEFS "trace", ""));
	ASSERT_EQ(0, write_file(TRACEFS "buffer_size_kb", "256"));
	ASSERT_EQ(0, write_file(TRACEFS "events/bpf_sched/enable", "1"));
	ASSERT_EQ(0, set_knob("max_slice_ns", NSEC_PER_MSEC));
	self->skel->bss->tick_answer = -1;
	ATTACH(only_tick);
	ASSERT_EQ(0, read_policy("answer_tick", &p));
	sleep_ms(100);
	ASSERT_EQ(0, bpf_link__update_map(self->link, self->skel->maps.shadow_tick));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	EXPECT_EQ(0, write_file(TRACEFS "events/bpf_sched/enable", "0"));
	EXPECT_EQ(0, set_knob("max_slice_ns", max_slice));

	snprintf(fields, sizeof(fields), "id=%lu name=answer_tick cgroup_id=0 flags=0", p.id);
	EXPECT_TRUE(traced("bpf_sched_attach:", fields));
	snprintf(fields, sizeof(fields), "id=%lu name=shadow_tick cgroup_id=0 flags=0x1", p.id);
	EXPECT_TRUE(traced("bpf_sched_replace:", fields));
	EXPECT_TRUE(traced("bpf_sched_detach:", fields));
	snprintf(fields, sizeof(fields), "id=%lu hook=" TICK " answer=-1 bound=slice", p.id);
	EXPECT_TRUE(traced("bpf_sched_overruled:", fields));
}

TEST_HARNESS_MAIN
