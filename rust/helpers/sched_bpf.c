// SPDX-License-Identifier: GPL-2.0

#include <linux/cgroup.h>
#include <linux/sched.h>

#ifdef CONFIG_RUST_BPF_SCHED
__rust_helper void rust_helper_cgroup_get(struct cgroup *cgrp)
{
	cgroup_get(cgrp);
}

__rust_helper void rust_helper_cgroup_put(struct cgroup *cgrp)
{
	cgroup_put(cgrp);
}

__rust_helper bool
rust_helper_task_under_cgroup_hierarchy(struct task_struct *task, struct cgroup *ancestor)
{
	return task_under_cgroup_hierarchy(task, ancestor);
}

__rust_helper struct task_struct *rust_helper_bpf_sched_entity_task(struct sched_entity *se)
{
#ifdef CONFIG_FAIR_GROUP_SCHED
	if (se->my_q)
		return NULL;
#endif
	return container_of(se, struct task_struct, se);
}
#endif
