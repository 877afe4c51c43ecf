// SPDX-License-Identifier: GPL-2.0
/*
 * Lets BPF programs fill struct bpf_sched_ops: BPF_MAP_TYPE_STRUCT_OPS maps of
 * this type, attached by a link.
 */

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/cgroup_namespace.h>
#include <linux/cleanup.h>
#include <linux/init.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/sizes.h>

#include "internal.h"

/*
 * A program runs with an rq lock held and interrupts off, so the time it takes
 * must have a limit: what the verifier has walked through. These helpers neither
 * loop over more than it sees nor wake or signal a task. The same goes for kfuncs,
 * see kfuncs.c, for functions, see has_unseen_code(), and for the maps that helpers
 * are given, see check_maps().
 */
static const struct bpf_func_proto *
get_func_proto(enum bpf_func_id func_id, const struct bpf_prog *prog)
{
	switch (func_id) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_update_elem:
	case BPF_FUNC_map_delete_elem:
	case BPF_FUNC_map_push_elem:
	case BPF_FUNC_map_pop_elem:
	case BPF_FUNC_map_peek_elem:
	case BPF_FUNC_map_lookup_percpu_elem:
	case BPF_FUNC_per_cpu_ptr:
	case BPF_FUNC_this_cpu_ptr:
	case BPF_FUNC_spin_lock:
	case BPF_FUNC_spin_unlock:
	case BPF_FUNC_task_storage_get:
	case BPF_FUNC_task_storage_delete:
	case BPF_FUNC_cgrp_storage_get:
	case BPF_FUNC_cgrp_storage_delete:
	case BPF_FUNC_ringbuf_output:
	case BPF_FUNC_ringbuf_reserve:
	case BPF_FUNC_ringbuf_submit:
	case BPF_FUNC_ringbuf_discard:
	case BPF_FUNC_ringbuf_query:
	case BPF_FUNC_get_prandom_u32:
	case BPF_FUNC_get_smp_processor_id:
	case BPF_FUNC_get_numa_node_id:
	case BPF_FUNC_ktime_get_ns:
	case BPF_FUNC_ktime_get_boot_ns:
	case BPF_FUNC_ktime_get_tai_ns:
	case BPF_FUNC_jiffies64:
	case BPF_FUNC_strncmp:
	case BPF_FUNC_get_current_pid_tgid:
	case BPF_FUNC_get_current_comm:
	case BPF_FUNC_get_current_task:
	case BPF_FUNC_get_current_task_btf:
	case BPF_FUNC_get_current_cgroup_id:
	case BPF_FUNC_get_current_ancestor_cgroup_id:
	case BPF_FUNC_current_task_under_cgroup:
	case BPF_FUNC_probe_read_kernel:
	case BPF_FUNC_probe_read_kernel_str:
	case BPF_FUNC_trace_printk:
	case BPF_FUNC_trace_vprintk:
		return bpf_base_func_proto(func_id, prog);
	default:
		return NULL;
	}
}

static const struct bpf_verifier_ops verifier_ops = {
	.get_func_proto		= get_func_proto,
	.is_valid_access	= bpf_tracing_btf_ctx_access,
};

static int st_ops_init(struct btf *btf)
{
	BTF_TYPE_EMIT_ENUM(BPF_SCHED_F_SHADOW);
	BTF_TYPE_EMIT_ENUM(BPF_SCHED_NO_OPINION);
	BTF_TYPE_EMIT_ENUM(BPF_SCHED_WAKE_FORK);

	return 0;
}

/*
 * Does @prog run code that the verifier does not walk through each time? It
 * assumes a global function to be valid wherever that is called, and lets it be
 * replaced later, which it may do to a program without a context too. may_goto
 * ends a loop after a quarter of a second, and each one again.
 */
static bool has_unseen_code(const struct bpf_prog *prog)
{
	const struct bpf_prog_aux *aux = prog->aux;
	const struct btf_type *t;
	int i;

	for (i = 0; i < prog->len; i++) {
		if (prog->insnsi[i].code == (BPF_JMP | BPF_JCOND))
			return true;
	}

	for (i = 1; aux->func_info_aux && i < aux->func_info_cnt; i++) {
		if (aux->func_info_aux[i].linkage == BTF_FUNC_GLOBAL)
			return true;
	}

	if (!aux->func_info_cnt)
		return false;
	t = btf_type_by_id(aux->btf, aux->func_info[0].type_id);
	t = btf_type_by_id(aux->btf, t->type);

	return !btf_type_vlen(t) ||
	       !btf_type_is_ptr(btf_type_skip_modifiers(aux->btf, btf_params(t)->type, NULL));
}

/* The filter of kfuncs.c sees those of vmlinux only. */
static bool calls_module(const struct bpf_prog *prog)
{
	int i;

	for (i = 0; i < prog->len; i++) {
		if (bpf_pseudo_kfunc_call(&prog->insnsi[i]) && prog->insnsi[i].off)
			return true;
	}

	return false;
}

/* A value may be copied as a whole by a helper, and that many times in a call. */
#define MAX_VALUE_SIZE	SZ_16K

/* Neither copying a value nor looking for a key may take long. */
static int check_map(const struct bpf_map *map)
{
	if (map->value_size > MAX_VALUE_SIZE)
		return -EFBIG;
	/* Lets keys be chosen that all are in one bucket. */
	if (map->map_flags & BPF_F_ZERO_SEED)
		return -ELOOP;

	return map->inner_map_meta ? check_map(map->inner_map_meta) : 0;
}

/*
 * The maps that helpers are given. A value that is addressed directly, as .bss is,
 * may be of any size: nothing copies it. The verifier has put addresses in the
 * instructions and has yet to forget what they are of.
 */
static int check_maps(const struct bpf_prog *prog)
{
	const struct bpf_insn *insn;
	int i, ret = 0;

	for (i = 0; i < prog->len - 1 && !ret; i++) {
		insn = &prog->insnsi[i];
		if (insn->code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if (insn->src_reg == BPF_PSEUDO_MAP_FD || insn->src_reg == BPF_PSEUDO_MAP_IDX)
			ret = check_map((void *)(unsigned long)((u64)insn[1].imm << 32 |
								(u32)insn[0].imm));
	}

	return ret;
}

static int st_ops_check_member(const struct btf_type *t,
			       const struct btf_member *member,
			       const struct bpf_prog *prog)
{
	/* The callbacks run with an rq lock held. */
	if (prog->sleepable)
		return -EINVAL;

	if (has_unseen_code(prog))
		return -ELOOP;

	if (calls_module(prog))
		return -EACCES;

	return check_maps(prog);
}

static int st_ops_init_member(const struct btf_type *t,
			      const struct btf_member *member,
			      void *kdata, const void *udata)
{
	const struct bpf_sched_ops *uops = udata;
	struct bpf_sched_ops *ops = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct bpf_sched_ops, flags):
		ops->flags = uops->flags;
		return 1;
	case offsetof(struct bpf_sched_ops, name):
		/* To be judged by bpf_sched_validate(). */
		memcpy(ops->name, uops->name, sizeof(ops->name));
		return 1;
	}

	return 0;
}

static int st_ops_validate(void *kdata)
{
	return bpf_sched_validate(kdata);
}

static int check_token(struct bpf_prog *prog, void *data)
{
	const struct user_namespace **userns = data;
	struct bpf_token *token = prog->aux->token;

	if (!token || !bpf_token_capable(token, CAP_BPF) || !bpf_token_capable(token, CAP_PERFMON))
		return -EPERM;
	*userns = token->userns;

	return 0;
}

/*
 * Who may load a program may let it be asked. So may who has the BPF token by
 * which it was loaded, about the tasks of a cgroup in a cgroup namespace of his
 * own. Holding the map's file descriptor is not enough. *@userns is set to the user
 * namespace of the token, or to NULL.
 */
static int check_permission(const void *ops, u64 cgrp_id, const struct user_namespace **userns)
{
	struct cgroup *cgrp;

	*userns = NULL;
	if (bpf_capable() && perfmon_capable())
		return 0;

	if (!cgrp_id || !ns_capable(current->nsproxy->cgroup_ns->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	cgrp = cgroup_get_from_id(cgrp_id);
	if (IS_ERR(cgrp))
		return -EPERM;
	cgroup_put(cgrp);

	return bpf_struct_ops_for_each_prog(ops, check_token, userns);
}

/* The number of a hook is that of its member. */
static int get_prog(struct bpf_prog *prog, void *data)
{
	const struct bpf_prog **progs = data;
	u32 hook = prog->expected_attach_type;

	if (hook < BPF_SCHED_NR_HOOKS)
		progs[hook] = prog;

	return 0;
}

static int st_ops_reg(void *kdata, struct bpf_link *link)
{
	/* Without a link nothing would show, pin or detach the policy. */
	return -EOPNOTSUPP;
}

static int st_ops_attach(void *kdata, struct bpf_link *link,
			 const struct bpf_struct_ops_target *target)
{
	const struct bpf_prog *progs[BPF_SCHED_NR_HOOKS] = {};
	const struct user_namespace *userns;
	int ret;

	ret = check_permission(kdata, target->cgrp ? cgroup_id(target->cgrp) : 0, &userns);
	if (ret)
		return ret;
	bpf_struct_ops_for_each_prog(kdata, get_prog, progs);

	return bpf_sched_attach(kdata, progs, link, NULL, target, userns);
}

static void st_ops_unreg(void *kdata, struct bpf_link *link)
{
	/* It may have been detached before its link was, see reap(). */
	bpf_sched_detach(link);
}

static int st_ops_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	const struct bpf_prog *progs[BPF_SCHED_NR_HOOKS] = {};
	const struct user_namespace *userns;
	int ret;

	ret = check_permission(kdata, bpf_sched_cgroup_id(link), &userns);
	if (ret)
		return ret;
	bpf_struct_ops_for_each_prog(kdata, get_prog, progs);

	return bpf_sched_replace(kdata, progs, link, userns);
}

struct bpf_struct_ops bpf_sched_struct_ops = {
	.verifier_ops	= &verifier_ops,
	.init		= st_ops_init,
	.check_member	= st_ops_check_member,
	.init_member	= st_ops_init_member,
	.validate	= st_ops_validate,
	.reg		= st_ops_reg,
	.attach		= st_ops_attach,
	.unreg		= st_ops_unreg,
	.update		= st_ops_update,
	.show_fdinfo	= bpf_sched_show_fdinfo,
	.cfi_stubs	= &bpf_sched_stubs,
	.name		= "bpf_sched_ops",
	.owner		= THIS_MODULE,
};

static int __init bpf_sched_init(void)
{
	int ret;

	ret = register_bpf_struct_ops(&bpf_sched_struct_ops, bpf_sched_ops);
	if (ret)
		pr_err("sched_bpf: cannot register struct bpf_sched_ops: %d\n", ret);

	return ret;
}
late_initcall(bpf_sched_init);
