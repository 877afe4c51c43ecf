// SPDX-License-Identifier: GPL-2.0
/* A table without a name, which is refused. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("struct_ops")
int BPF_PROG(no_opinion)
{
	return 0;
}

SEC(".struct_ops.link")
struct bpf_sched_ops nameless = {
	.cfs_check_preempt_tick	= (void *)no_opinion,
};

char _license[] SEC("license") = "GPL";
