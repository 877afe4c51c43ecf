// SPDX-License-Identifier: GPL-2.0
/*
 * Lets BPF programs fill struct bpf_sched_ops: BPF_MAP_TYPE_STRUCT_OPS maps of
 * this type, attached by a link.
 */

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/init.h>

#include "internal.h"

static const struct bpf_verifier_ops verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= bpf_tracing_btf_ctx_access,
};

static int st_ops_init(struct btf *btf)
{
	return 0;
}

static int st_ops_check_member(const struct btf_type *t,
			       const struct btf_member *member,
			       const struct bpf_prog *prog)
{
	/* The callbacks run with an rq lock held. */
	return prog->sleepable ? -EINVAL : 0;
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
		return uops->flags ? -EINVAL : 1;
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

static int st_ops_reg(void *kdata, struct bpf_link *link)
{
	/* Without a link nothing would show, pin or detach the policy. */
	if (!link)
		return -EOPNOTSUPP;

	return bpf_sched_attach(kdata, link);
}

static void st_ops_unreg(void *kdata, struct bpf_link *link)
{
	bpf_sched_detach(link);
}

static int st_ops_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	return bpf_sched_replace(kdata, link);
}

struct bpf_struct_ops bpf_sched_struct_ops = {
	.verifier_ops	= &verifier_ops,
	.init		= st_ops_init,
	.check_member	= st_ops_check_member,
	.init_member	= st_ops_init_member,
	.validate	= st_ops_validate,
	.reg		= st_ops_reg,
	.unreg		= st_ops_unreg,
	.update		= st_ops_update,
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
