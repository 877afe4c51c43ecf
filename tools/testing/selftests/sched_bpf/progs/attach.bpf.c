// SPDX-License-Identifier: GPL-2.0
/* Policies that note the order in which they are called for one task. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAX_ORDER	64

__u32 pid;

/* Numbers of the policies in order of their calls, and the cgroups they were passed. */
__u32 order[MAX_ORDER];
__u64 cgroups[MAX_ORDER];
__u32 nr_order;

static int note(struct sched_entity *se, struct cgroup *cgrp, __u32 number)
{
	__u32 n = nr_order;

	if ((__u32)bpf_sched_entity_to_tgidpid(se) != pid || n >= MAX_ORDER)
		return 0;
	order[n] = number;
	cgroups[n] = cgrp->kn->id;
	nr_order = n + 1;
	return 0;
}

#define NOTE(number)								\
	SEC("struct_ops")							\
	int BPF_PROG(note_##number, struct sched_entity *se, u64 slice,		\
		     struct cgroup *cgrp)					\
	{									\
		return note(se, cgrp, number);					\
	}									\
										\
	SEC(".struct_ops.link")							\
	struct bpf_sched_ops ops_##number = {					\
		.cfs_slice	= (void *)note_##number,			\
		.name		= "note_" #number,				\
	}

NOTE(1);
NOTE(2);
NOTE(3);
NOTE(4);

/* Cannot be attached to a cgroup. */
SEC(".struct_ops")
struct bpf_sched_ops no_link = {
	.cfs_slice	= (void *)note_1,
	.name		= "no_link",
};

char _license[] SEC("license") = "GPL";
