// SPDX-License-Identifier: GPL-2.0
/* What protects a machine from a policy: switches, limits of its time, knobs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../kselftest_harness.h"
#include "guard.skel.h"
#include "lib.h"

#define TICK		"cfs_check_preempt_tick"
#define PHASE_MS	500

FIXTURE(guard) {
	struct guard *skel;
	struct load loads[2];
	struct bpf_link *link;
	struct policy policy;
	uint64_t max_slice_ns, max_share;
	int kmsg;
};

FIXTURE_SETUP(guard)
{
	const struct load_attr attr = { .kind = HOG };

	if (!setup_cpus())
		SKIP(return, "two CPUs are needed");
	self->max_slice_ns = get_knob("max_slice_ns");
	self->max_share = get_knob("max_share");
	ASSERT_EQ(1, get_knob("enabled"));
	self->skel = guard__open_and_load();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, load_start(&self->loads[0], &attr));
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(guard)
{
	bpf_link__destroy(self->link);
	load_stop(&self->loads[0]);
	load_stop(&self->loads[1]);
	guard__destroy(self->skel);
	set_knob("enabled", 1);
	set_knob("max_slice_ns", self->max_slice_ns);
	set_knob("max_share", self->max_share);
	close(self->kmsg);
}

#define ATTACH(map) ({								\
	self->link = bpf_map__attach_struct_ops(self->skel->maps.map);		\
	ASSERT_NE(NULL, self->link);						\
	ASSERT_EQ(0, read_policy(#map, &self->policy));				\
})

/* How often the kernel has said this of the policy. */
static int messages(int kmsg, uint64_t policy_id, const char *text)
{
	char record[8192], id[32];
	ssize_t len;
	int n = 0;

	snprintf(id, sizeof(id), "(id %lu) ", policy_id);
	lseek(kmsg, 0, SEEK_SET);
	/* A record that was overwritten meanwhile is an error, once. */
	while ((len = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (len < 0) {
			errno = 0;
			continue;
		}
		record[len] = 0;
		n += strstr(record, text) && strstr(record, id);
	}
	return n;
}

#define MESSAGES(text) messages(self->kmsg, self->policy.id, text)

static uint64_t switches_in_phase(pid_t pid)
{
	uint64_t before = switches(pid);

	sleep_ms(PHASE_MS);
	return switches(pid) - before;
}

static uint64_t calls_in_phase(const char *policy)
{
	struct counters before, after;

	if (read_counters(policy, TICK, &before))
		return 0;
	sleep_ms(PHASE_MS);
	if (read_counters(policy, TICK, &after))
		return 0;
	return after.calls - before.calls;
}

/* Off: not asked, not obeyed, still attached. On: as before. */
TEST_F(guard, sysrq)
{
	uint64_t n[3];

	ATTACH(keeps);
	n[0] = switches_in_phase(self->loads[0].pid);
	EXPECT_GT(calls_in_phase("keeps"), 0);

	ASSERT_EQ(0, write_file("/proc/sysrq-trigger", "P"));
	EXPECT_EQ(0, get_knob("enabled"));
	n[1] = switches_in_phase(self->loads[0].pid);
	EXPECT_EQ(0, calls_in_phase("keeps"));
	EXPECT_EQ(1, count_policies("keeps", TICK));

	ASSERT_EQ(0, set_knob("enabled", 1));
	EXPECT_GT(calls_in_phase("keeps"), 0);
	n[2] = switches_in_phase(self->loads[0].pid);
	TH_LOG("switches: on %lu, off %lu, on %lu", n[0], n[1], n[2]);
	EXPECT_GT(n[1], 3 * n[0]);
	EXPECT_GT(n[1], 3 * n[2]);
}

/* The switch also ends what a policy has granted: nobody has to wait that long. */
TEST_F(guard, switch_ends_requests)
{
	int i;

	ATTACH(keeps);
	sleep_ms(1000);
	ASSERT_EQ(0, set_knob("enabled", 0));
	sleep_ms(self->max_slice_ns / NSEC_PER_MSEC);
	for (i = 0; i < 2; i++)
		self->loads[i].stats->max_gap_ns = 0;
	sleep_ms(PHASE_MS);
	for (i = 0; i < 2; i++) {
		EXPECT_GT(self->loads[i].stats->max_gap_ns, 0);
		EXPECT_LT(self->loads[i].stats->max_gap_ns, self->max_slice_ns / 3);
	}
}

TEST_F(guard, attach_while_off)
{
	ASSERT_EQ(0, set_knob("enabled", 0));
	ATTACH(keeps);
	EXPECT_EQ(0, calls_in_phase("keeps"));
	ASSERT_EQ(0, set_knob("enabled", 1));
	EXPECT_GT(calls_in_phase("keeps"), 0);
}

TEST_F(guard, knobs)
{
	static const struct { const char *name; uint64_t min, max; } knobs[] = {
		{ "enabled", 0, 1 },
		{ "max_slice_ns", NSEC_PER_MSEC / 10, 100 * NSEC_PER_MSEC },
		{ "max_share", 1, 50 },
	};
	char path[128];
	int i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		const char *name = knobs[i].name;

		EXPECT_EQ(0, set_knob(name, knobs[i].min));
		EXPECT_EQ(knobs[i].min, get_knob(name));
		EXPECT_EQ(0, set_knob(name, knobs[i].max));
		EXPECT_EQ(knobs[i].max, get_knob(name));
		EXPECT_EQ(-ERANGE, set_knob(name, knobs[i].max + 1));
		if (knobs[i].min)
			EXPECT_EQ(-ERANGE, set_knob(name, knobs[i].min - 1));
		snprintf(path, sizeof(path), BPF_SCHED_SYSFS "%s", name);
		EXPECT_EQ(-EINVAL, write_file(path, "soon"));
		EXPECT_EQ(knobs[i].max, get_knob(name));
	}
}

#define TOO_MUCH	"took too much time of a CPU; detached"

/* A policy that takes too much time is detached, and everybody goes on. */
TEST_F(guard, slow)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	uint64_t rounds[2];
	int i;

	ASSERT_EQ(0, set_knob("max_share", 1));
	for (i = 0; i < 2; i++)
		rounds[i] = self->loads[i].stats->rounds;
	ATTACH(loops);
	EXPECT_TRUE(policy_gone("loops"));
	EXPECT_EQ(1, MESSAGES(TOO_MUCH));
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &info, &len));
	EXPECT_EQ(0, info.struct_ops.map_id);
	sleep_ms(100);
	for (i = 0; i < 2; i++)
		EXPECT_GT(self->loads[i].stats->rounds, rounds[i]);
}

/* The same policy stays where that much is allowed. */
TEST_F(guard, not_slow)
{
	struct counters c;

	ASSERT_EQ(0, set_knob("max_share", 50));
	ATTACH(loops_short);
	sleep_ms(3000);
	ASSERT_EQ(0, read_counters("loops_short", TICK, &c));
	EXPECT_GT(c.calls, 100);
	EXPECT_GT(c.timed, 0);
	EXPECT_EQ(0, MESSAGES(TOO_MUCH));
}

/* What a policy took is not held against what replaces it, in the same period. */
TEST_F(guard, replacement_is_judged_anew)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, set_knob("max_share", 50));
		ATTACH(loops);
		sleep_ms(700);
		ASSERT_EQ(0, bpf_link__update_map(self->link, self->skel->maps.keeps));
		ASSERT_EQ(0, set_knob("max_share", 1));
		sleep_ms(1300);
		EXPECT_EQ(1, count_policies("keeps", TICK));
		EXPECT_GT(calls_in_phase("keeps"), 0);
		EXPECT_EQ(0, MESSAGES(TOO_MUCH));
		ASSERT_EQ(0, bpf_link__detach(self->link));
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
}

/* Nor is a replacement forgiven what itself takes. */
TEST_F(guard, slow_replacement)
{
	ASSERT_EQ(0, set_knob("max_share", 1));
	ATTACH(keeps);
	sleep_ms(500);
	EXPECT_EQ(1, count_policies("keeps", TICK));
	ASSERT_EQ(0, bpf_link__update_map(self->link, self->skel->maps.loops));
	EXPECT_TRUE(policy_gone("loops"));
	EXPECT_EQ(1, MESSAGES(TOO_MUCH));
}

/* A program cannot be fast just when it is timed: it does not know when that is. */
static void expect_found(struct __test_metadata *_metadata, FIXTURE_DATA(guard) *self,
			 const struct bpf_map *map, const char *name)
{
	const struct load_attr attr = { .kind = PIPE_PONG };

	load_stop(&self->loads[1]);
	ASSERT_EQ(0, load_start(&self->loads[1], &attr));
	ASSERT_EQ(0, set_knob("max_share", 1));
	self->link = bpf_map__attach_struct_ops(map);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, read_policy(name, &self->policy));
	EXPECT_TRUE(policy_gone(name));
	EXPECT_EQ(1, MESSAGES(TOO_MUCH));
	TH_LOG("%s was fast %llu times, slow %llu times", name, self->skel->bss->fast_calls,
	       self->skel->bss->slow_calls);
	EXPECT_GT(self->skel->bss->fast_calls, 0);
	EXPECT_GT(self->skel->bss->slow_calls, 0);
}

TEST_F(guard, slow_but_in_first_call_of_jiffy)
{
	expect_found(_metadata, self, self->skel->maps.sly_jiffy, "sly_jiffy");
}

TEST_F(guard, slow_but_in_some_calls)
{
	expect_found(_metadata, self, self->skel->maps.sly_count, "sly_count");
}

/* What a policy takes of the time now, in 1/1000 of it. */
static uint64_t share_of_time(const char *policy)
{
	struct counters before, after;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (stats < 0 || read_counters(policy, TICK, &before))
		return 0;
	sleep_ms(PHASE_MS);
	if (read_counters(policy, TICK, &after))
		return 0;
	close(stats);
	return (after.time_ns - before.time_ns) / (PHASE_MS * NSEC_PER_MSEC / 1000);
}

#define MAX_TOGETHER	48

/*
 * None of them takes too much, but all together do: some have to leave, those that
 * take most, and not all.
 */
TEST_F_TIMEOUT(guard, slow_together, 120)
{
	struct bpf_link *links[MAX_TOGETHER] = {};
	uint64_t share, limit;
	int i, n, all;

	ASSERT_EQ(0, set_knob("max_share", 50));
	ATTACH(loops_short);
	share = share_of_time("loops_short");
	if (share < 2)
		SKIP(return, "too fast to be found");
	/* Room for about four, in whole percents. */
	limit = (4 * share + 9) / 10;
	ASSERT_LE(limit, 50);
	ASSERT_EQ(0, set_knob("max_share", limit));
	for (i = 0; i < 2; i++) {
		links[i] = bpf_map__attach_struct_ops(self->skel->maps.loops_short);
		ASSERT_NE(NULL, links[i]);
	}
	sleep_ms(2500);
	EXPECT_EQ(3, count_policies("loops_short", TICK));

	all = 3 * limit * 10 / share;
	ASSERT_LE(all, MAX_TOGETHER);
	for (; i < all - 1; i++) {
		links[i] = bpf_map__attach_struct_ops(self->skel->maps.loops_short);
		ASSERT_NE(NULL, links[i]);
	}
	sleep_ms(4000);
	n = count_policies("loops_short", TICK);
	TH_LOG("%d of %d policies stay, of %lu/1000 each and %lu/100 together", n, all, share,
	       limit);
	EXPECT_LT(n, all / 2);
	EXPECT_GT(n, 0);

	for (i = 0; i < MAX_TOGETHER; i++)
		bpf_link__destroy(links[i]);
}

/* Of two, the one that takes much leaves, and the other one stays. */
TEST_F(guard, slowest_leaves)
{
	struct bpf_link *fast;

	ASSERT_EQ(0, set_knob("max_share", 1));
	ATTACH(loops);
	fast = bpf_map__attach_struct_ops(self->skel->maps.keeps);
	ASSERT_NE(NULL, fast);
	EXPECT_TRUE(policy_gone("loops"));
	EXPECT_EQ(1, MESSAGES(TOO_MUCH));
	sleep_ms(1500);
	EXPECT_EQ(1, count_policies("keeps", TICK));
	EXPECT_GT(calls_in_phase("keeps"), 0);
	bpf_link__destroy(fast);
}

TEST_HARNESS_MAIN
