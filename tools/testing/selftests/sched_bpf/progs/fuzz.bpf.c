// SPDX-License-Identifier: GPL-2.0
/* A policy that returns random values. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "hooks.h"

static int random_result(void)
{
	__u32 random = bpf_get_prandom_u32();
	int ret = bpf_get_prandom_u32();

	switch (random % 8) {
	case 0:
		ret = 0;
		break;
	case 1:
		ret = 1 + (random >> 8) % 2;
		break;
	case 2:
		ret = -1;
		break;
	case 3:
		ret = 0x7fffffff;
		break;
	case 4:
		ret = -0x7fffffff - 1;
		break;
	case 5:
		/* Errors, which are negative values like others. */
		ret = -((random >> 8) % 4096);
		break;
	case 6:
		/* A slice, within its limits or not. */
		ret = (random >> 3) % 200000000;
		break;
	}

	return ret;
}

HOOKS(fuzz, random_result())
OPS(fuzz, fuzz, 0);
OPS(fuzz_shadow, fuzz, BPF_SCHED_F_SHADOW);

char _license[] SEC("license") = "GPL";
