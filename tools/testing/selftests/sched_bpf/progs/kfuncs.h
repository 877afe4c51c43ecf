/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by kfuncs.bpf.c and kfuncs.c. */

#define NR_CGROUPS	4

struct entity_view {
	__u64 tgidpid;
	__u64 cgrpid;
	__u64 belongs[NR_CGROUPS];
	__s64 lag;
	int eligible;
	__u32 nr_runnable;
};
