// SPDX-License-Identifier: GPL-2.0

#include <linux/bpf_sched.h>
#include <linux/cgroup.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/sched.h>

#ifdef CONFIG_RUST_BPF_SCHED
__rust_helper void rust_helper_cgroup_put(struct cgroup *cgrp)
{
	cgroup_put(cgrp);
}

__rust_helper u64 rust_helper_cgroup_id(const struct cgroup *cgrp)
{
	return cgroup_id(cgrp);
}

__rust_helper unsigned int rust_helper_task_cpu(const struct task_struct *p)
{
	return task_cpu(p);
}

__rust_helper void __percpu *rust_helper___alloc_percpu(size_t size, size_t align)
{
	return __alloc_percpu(size, align);
}

__rust_helper void *rust_helper_per_cpu_ptr(void __percpu *ptr, int cpu)
{
	return per_cpu_ptr(ptr, cpu);
}

__rust_helper void *rust_helper_this_cpu_ptr(void __percpu *ptr)
{
	return this_cpu_ptr(ptr);
}

__rust_helper bool rust_helper_irqs_disabled(void)
{
	return irqs_disabled();
}

__rust_helper int rust_helper_task_nice(const struct task_struct *p)
{
	return task_nice(p);
}
#endif
