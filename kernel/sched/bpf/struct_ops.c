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
#include <linux/init.h>

#include "internal.h"

/*
 * A program runs with an rq lock held and interrupts off, so the time it takes
 * must have a limit: what the verifier has walked through. Helpers that loop over
 * more than it sees are refused, as are those that wake or signal a task. So are
 * kfuncs, see kfuncs.c, and may_goto, see st_ops_check_member().
 */
static const struct bpf_func_proto *
get_func_proto(enum bpf_func_id func_id, const struct bpf_prog *prog)
{
	switch (func_id) {
	case BPF_FUNC_loop:
	case BPF_FUNC_for_each_map_elem:
	case BPF_FUNC_user_ringbuf_drain:
	case BPF_FUNC_tail_call:
	case BPF_FUNC_timer_init:
	case BPF_FUNC_timer_set_callback:
	case BPF_FUNC_timer_start:
	case BPF_FUNC_timer_cancel:
	case BPF_FUNC_send_signal:
	case BPF_FUNC_send_signal_thread:
	case BPF_FUNC_find_vma:
		return NULL;
	default:
		return bpf_base_func_proto(func_id, prog);
	}
}

static const struct bpf_verifier_ops verifier_ops = {
	.get_func_proto		= get_func_proto,
	.is_valid_access	= bpf_tracing_btf_ctx_access,
};

static int st_ops_init(struct btf *btf)
{
	BTF_TYPE_EMIT_ENUM(BPF_SCHED_F_SHADOW);

	return 0;
}

static bool has_may_goto(const struct bpf_prog *prog)
{
	int i;

	for (i = 0; i < prog->len; i++) {
		if (prog->insnsi[i].code == (BPF_JMP | BPF_JCOND))
			return true;
	}

	return false;
}

static int st_ops_check_member(const struct btf_type *t,
			       const struct btf_member *member,
			       const struct bpf_prog *prog)
{
	/* The callbacks run with an rq lock held. */
	if (prog->sleepable)
		return -EINVAL;

	/* Ends a loop after a quarter of a second, and each one again. */
	if (has_may_goto(prog))
		return -ELOOP;

	return 0;
}

static int st_ops_init_member(const struct btf_type *t,
			      const struct btf_member *member,
			      void *kdata, const void *udata)
{
	const struct bpf_sched_ops *uops = udata;
	struct bpf_sched_ops *ops = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct bpf_sched_ops, flags):
		/* A flag this kernel does not know must not be ignored. */
		if (uops->flags & ~BPF_SCHED_F_ALL)
			return -EINVAL;
		ops->flags = uops->flags;
		return 1;
	case offsetof(struct bpf_sched_ops, name):
		if (bpf_obj_name_cpy(ops->name, uops->name, sizeof(ops->name)) <= 0)
			return -EINVAL;
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
	return bpf_token_capable(prog->aux->token, CAP_BPF) &&
	       bpf_token_capable(prog->aux->token, CAP_PERFMON) ? 0 : -EPERM;
}

/*
 * Who may load a program may let it be asked; so may, for a cgroup that the
 * caller's cgroup namespace contains, who has the BPF token by which it was
 * loaded. Holding the map's file descriptor is not enough.
 */
static int check_permission(const void *ops, u64 cgrp_id)
{
	struct cgroup *cgrp;

	if (bpf_capable() && perfmon_capable())
		return 0;

	if (!cgrp_id)
		return -EPERM;
	cgrp = cgroup_get_from_id(cgrp_id);
	if (IS_ERR(cgrp))
		return -EPERM;
	cgroup_put(cgrp);

	return bpf_struct_ops_for_each_prog(ops, check_token, NULL);
}

static int st_ops_reg(void *kdata, struct bpf_link *link)
{
	/* Without a link nothing would show, pin or detach the policy. */
	return -EOPNOTSUPP;
}

static int st_ops_attach(void *kdata, struct bpf_link *link,
			 const struct bpf_struct_ops_target *target)
{
	int ret;

	ret = check_permission(kdata, target->cgrp ? cgroup_id(target->cgrp) : 0);
	if (ret)
		return ret;

	return bpf_sched_attach(kdata, link, target);
}

static void st_ops_unreg(void *kdata, struct bpf_link *link)
{
	bpf_sched_detach(link);
}

static int st_ops_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	int ret;

	ret = check_permission(kdata, bpf_sched_cgroup_id(link));
	if (ret)
		return ret;

	return bpf_sched_replace(kdata, link);
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
	.cfi_stubs	= &bpf_sched_stubs,
	.name		= "bpf_sched_ops",
	.owner		= THIS_MODULE,
};

static int get_prog_id(struct bpf_prog *prog, void *data)
{
	struct bpf_sched_bpf_ids *ids = data;
	/* The number of its member, which is that of the hook. */
	u32 hook = prog->expected_attach_type;

	if (hook < BPF_SCHED_NR_HOOKS)
		ids->prog[hook] = prog->aux->id;

	return 0;
}

/* The BPF objects of @policy, whose present answers are @ops. */
struct bpf_sched_bpf_ids bpf_sched_bpf_ids(const struct bpf_sched_attachment *policy,
					   const struct bpf_sched_ops *ops)
{
	struct bpf_sched_bpf_ids ids = {
		.link	= policy->link->id,
		.map	= bpf_struct_ops_id(ops),
	};

	bpf_struct_ops_for_each_prog(ops, get_prog_id, &ids);

	return ids;
}

static int __init bpf_sched_init(void)
{
	int ret;

	ret = register_bpf_struct_ops(&bpf_sched_struct_ops, bpf_sched_ops);
	if (ret)
		pr_err("sched_bpf: cannot register struct bpf_sched_ops: %d\n", ret);

	return ret;
}
late_initcall(bpf_sched_init);
