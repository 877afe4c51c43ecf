/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SCHED_BPF_SELFTEST_LIB_H
#define SCHED_BPF_SELFTEST_LIB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NSEC_PER_MSEC	UINT64_C(1000000)
#define NSEC_PER_SEC	UINT64_C(1000000000)

/* Of an enum that is no part of a header for user space. */
#define BPF_SCHED_WAKE_FORK	0x04
#define BPF_SCHED_WAKE_SYNC	0x10
#define BPF_SCHED_WAKE_MIGRATED	0x20

/* The tests sit on one CPU and put their load on another. */
#define TEST_CPU	0
#define LOAD_CPU	1

/*
 * Written by a load process, in memory shared with the test. Both sides call into libc
 * between any two accesses.
 */
struct load_stats {
	/* rounds of its loop */
	uint64_t rounds;
	/* longest time between two rounds: it was runnable and did not run */
	uint64_t max_gap_ns;
	/* rounds of which this time was below 1 ms */
	uint64_t prompt;
};

struct load {
	pid_t pid;
	struct load_stats *stats;
};

enum load_kind {
	HOG,		/* spins */
	SLEEPER,	/* sleeps for sleep_ns, then runs for work_ns */
	YIELDER,	/* calls sched_yield() */
	FORKER,		/* forks a child that exits */
	PIPE_PONG,	/* two threads that wake each other through pipes */
	READER,		/* reads single bytes from a pipe */
};

struct load_attr {
	enum load_kind kind;
	int policy;		/* SCHED_*, 0 is SCHED_OTHER */
	int nice;
	uint64_t slice_ns;	/* sched_setattr() slice, 0: the default */
	uint64_t work_ns;	/* of a SLEEPER, in a round */
	uint64_t sleep_ns;	/* between its rounds, 0: 1 ms */
	const char *cgroup;	/* path to join first, or NULL */
	bool new_session;	/* setsid(): a new autogroup */
	bool on_test_cpu;	/* else on LOAD_CPU */
	bool on_both;		/* else on one of them */
	int fd;			/* that a READER reads */
};

/* All return 0 or a negative errno; a load is started when its pid is set. */
int load_start(struct load *load, const struct load_attr *attr);
void load_stop(struct load *load);

/*
 * Move a running load, make it a deadline task of 5 ms in 10 ms, or give it a core scheduling
 * cookie of its own.
 */
int load_move_to_cpu(const struct load *load, int cpu);
int load_move_to_both(const struct load *load);
int load_move_to_cgroup(const struct load *load, const char *cgroup);
int load_make_deadline(const struct load *load);
int load_make_cookie(const struct load *load);

/* Hogs, sleepers and threads that wake each other, so that all hooks fire. */
#define NR_MIXED_LOADS	6
int mixed_loads_start(struct load *loads);

/* Move all of them to @cgroup, stopped, so that each call is for one of the cgroups. */
int mixed_loads_move(const struct load *loads, const char *cgroup);

/* The number of them that make no progress in a second. */
int mixed_loads_stuck(const struct load *loads);

/*
 * Switches in a second of the first of two hogs on one CPU, which is in @cgroup, if
 * not NULL; @slice_ns is of both. Zero if they cannot be started.
 */
uint64_t hog_switches(const char *cgroup, uint64_t slice_ns);

struct rounds {
	uint64_t all;
	uint64_t late;	/* those for which it waited 1 ms or more */
};

/*
 * Rounds of a sleeper in @cgroup, if not NULL, next to @nr_hogs hogs, up to MAX_HOGS, in
 * two seconds; @slice_ns is of all. No rounds if they cannot be started.
 */
#define MAX_HOGS	4
struct rounds sleeper_rounds(const char *cgroup, int nr_hogs, uint64_t slice_ns);

/* The same for a SCHED_BATCH sleeper, which does not preempt. */
struct rounds batch_rounds(int nr_hogs, uint64_t slice_ns);

/* Return true if the ratio of late rounds is at most two thirds of that in @stock. */
bool is_prompter(struct rounds r, struct rounds stock);

/* CPU time and context switches of a process. */
uint64_t cpu_time_ns(pid_t pid);
uint64_t switches(pid_t pid);

/* The CPU that it runs on, or did; negative errno. */
int cpu_of(pid_t pid);

/* The base slice. */
#define BASE_SLICE	"/sys/kernel/debug/sched/base_slice_ns"

/* CLOCK_MONOTONIC */
uint64_t now_ns(void);
void sleep_ms(unsigned int ms);

/* Pin the caller to TEST_CPU. False if LOAD_CPU does not exist. */
bool setup_cpus(void);

/* Read from and write to small files; negative errno on failure. */
int read_file(const char *path, char *buf, size_t size);
int write_file(const char *path, const char *text);

/* Attach to the root cgroup or to this one. NULL on failure, with errno set. */
struct bpf_map;
struct bpf_link *attach_root(const struct bpf_map *map);
struct bpf_link *attach_to(const struct bpf_map *map, const char *cgroup);

/* Query the ids of maps in evaluation order. Return their number or a negative errno. */
int query_maps(int cgroup_fd, uint32_t flags, uint32_t *ids, int max, uint64_t *revision);
uint32_t map_id(const struct bpf_map *map);

/* Call @seen for each link of a struct_ops map until it returns true. */
struct bpf_link_info;
bool walk_links(bool (*seen)(int fd, const struct bpf_link_info *info, void *arg), void *arg);

/* The number of links by which a map is attached; wait a while until it is @nr. */
int count_links(const struct bpf_map *map);
int wait_for_links(const struct bpf_map *map, int nr);

#define BPF_SCHED_SYSFS "/sys/module/bpf_sched/parameters/"

/* A file that holds a number: of BPF_SCHED_SYSFS, or by its whole path. */
uint64_t get_knob(const char *name);
int set_knob(const char *name, uint64_t val);

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define CGROUP_CONTROL	CGROUP_ROOT "/cgroup.subtree_control"

/* The path of 64 nested cgroups, whose names have process ids in them. */
#define LONGEST_CGROUP	1024

/* A new cgroup2 directory below @parent, NULL: the root. Path in @path. */
int cgroup_make(const char *parent, const char *name, char *path, size_t size);
void cgroup_remove(const char *path);
uint64_t cgroup_id(const char *path);

/* Return true if the kernel was built with CONFIG_SCHED_CLASS_EXT. */
bool has_sched_ext(void);

/* The path of a file in the directory of this program, until the next call. */
const char *beside(const char *name);

/*
 * Load a module file or one that modprobe knows, with these parameters, and unload it
 * by its name. Return 0 or a negative errno.
 */
int module_load(const char *path, const char *params);
int modprobe_load(const char *name, const char *params);
int module_unload(const char *name);

/* Return true if the kernel has printed @text since kernel_log_forget(). */
bool kernel_log_has(const char *text);
void kernel_log_forget(void);

/* Keep the messages of libbpf. */
void capture_libbpf(void);
const char *captured_libbpf(void);

#endif /* SCHED_BPF_SELFTEST_LIB_H */
