/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SCHED_BPF_SELFTEST_POLICY_H
#define SCHED_BPF_SELFTEST_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* Of an enum that is no part of a header for user space. */
#define BPF_SCHED_F_SHADOW	1

/* Policies of kernel modules */
#define BPF_SCHED_MODULES "/sys/kernel/debug/sched/bpf/modules"

/* What fdinfo of a link tells of a policy. */
struct policy {
	uint64_t link, map, cgroup;
	char state[16];
};

struct counters {
	uint64_t calls, negative, positive;
	uint64_t zero;		/* the others */
	uint64_t rejected;	/* sum of the following */
	uint64_t rejected_kthread, rejected_eligible, rejected_slice, rejected_short;
	uint64_t rejected_custom, rejected_cpu, rejected_balance;
	uint64_t differ;
};

/* Calls that count as zero because they have not returned: one on each CPU of the loads. */
#define CALLS_IN_FLIGHT	2

#define NR_HOOKS	6
extern const char * const hook_names[NR_HOOKS];

/*
 * The first policy of this name, by a link or a module, or its counters of this hook.
 * -ENOENT if there is none.
 */
int read_policy(const char *name, struct policy *p);
int read_counters(const char *name, const char *hook, struct counters *c);
uint64_t calls_of(const char *name, const char *hook);

/* The number of attachments of this name. */
int count_policies(const char *name);

/* Wait until the policy is detached, which may be deferred, or disabled. */
bool policy_gone(const char *name);
bool policy_disabled(const char *name, unsigned int ms);

#endif /* SCHED_BPF_SELFTEST_POLICY_H */
