// SPDX-License-Identifier: GPL-2.0
/*
 * Sets the slice of the tasks of a cgroup. A shorter slice than that of the others lets them
 * run sooner and more often; their share of the CPU does not change.
 *
 *	sched-bpf attach slice --cgroup /sys/fs/cgroup/web --set slice_ns=500us
 *	bpftool prog loadall slice.bpf.o /sys/fs/bpf/slice autoattach	(all tasks)
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u64 slice_ns = 1000 * 1000;	/* length of a slice */

SEC("sched/cfs_slice")
int BPF_PROG(slice)
{
	return slice_ns;
}

char LICENSE[] SEC("license") = "GPL";
