// SPDX-License-Identifier: GPL-2.0
/* Maps that forget: an LRU hash, and storage that goes with its task. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, u64);
	__type(value, u64);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} wakeups SEC(".maps");

SEC("sched/cfs_check_preempt_wakeup")
int BPF_PROG(remember, struct task_struct *curr, struct task_struct *p)
{
	u64 key = p->pid, now = bpf_ktime_get_ns();
	u64 *count = bpf_task_storage_get(&wakeups, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (count)
		(*count)++;
	bpf_map_update_elem(&recent, &key, &now, BPF_ANY);

	return 0;
}

char LICENSE[] SEC("license") = "GPL";
