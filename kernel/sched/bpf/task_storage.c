// SPDX-License-Identifier: GPL-2.0
/*
 * State that a policy in kernel code keeps of tasks. It is a BPF_MAP_TYPE_TASK_STORAGE
 * map without an id or a BPF program: it is found through the task, is freed with it, and
 * can be added while an rq lock is held.
 */

#include <linux/bpf.h>
#include <linux/bpf_local_storage.h>
#include <linux/bpf_sched.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

/**
 * bpf_sched_task_storage_alloc - allocate a storage
 * @size: bytes of state of each task, aligned to 8 bytes
 *
 * Context: Process context, may sleep.
 * Return: The storage; -EINVAL if @size is 0 or above BPF_SCHED_TASK_STORAGE_MAX; -ENOMEM.
 */
struct bpf_map *bpf_sched_task_storage_alloc(u32 size)
{
	const struct bpf_map_ops *ops = &task_storage_map_ops;
	union bpf_attr attr = {
		.map_type	= BPF_MAP_TYPE_TASK_STORAGE,
		.key_size	= sizeof(int),
		.value_size	= size,
		.map_flags	= BPF_F_NO_PREALLOC,
	};
	struct bpf_map *map;

	if (!size || size > BPF_SCHED_TASK_STORAGE_MAX)
		return ERR_PTR(-EINVAL);

	map = ops->map_alloc(&attr);
	if (!IS_ERR(map))
		map->ops = ops;

	return map;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_task_storage_alloc, "SCHED_BPF");

/**
 * bpf_sched_task_storage_free - free a storage and the state of all tasks in it
 * @map: the storage
 *
 * The caller makes sure that no new call of bpf_sched_task_storage_get() gets @map. Calls
 * in progress and users of their results are waited for before anything is freed.
 *
 * Context: Process context, may sleep.
 */
void bpf_sched_task_storage_free(struct bpf_map *map)
{
	/* bpf_local_storage_map_free() begins with synchronize_rcu(). */
	migrate_disable();
	map->ops->map_free(map);
	migrate_enable();
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_task_storage_free, "SCHED_BPF");

/**
 * bpf_sched_task_storage_get - find the state of a task
 * @map: the storage
 * @p: the task, of which the caller has a reference
 * @create: add state if there is none; it is zeroed
 *
 * Context: Any but NMI, in an RCU read-side section. With @create on PREEMPT_RT, not in
 * hard interrupt context: there is no memory then.
 * Return: The state, which is valid until the end of the RCU read-side section or until
 * the last reference to @p is put; NULL if there is none, or no memory for it.
 */
void *bpf_sched_task_storage_get(struct bpf_map *map, struct task_struct *p, bool create)
{
	struct bpf_local_storage_map *smap = container_of(map, struct bpf_local_storage_map, map);
	struct bpf_local_storage *storage = rcu_dereference(p->bpf_storage);
	struct bpf_local_storage_data *data;

	data = storage ? bpf_local_storage_lookup(storage, smap, true) : NULL;
	if (data || !create)
		return data ? data->data : NULL;

	data = bpf_local_storage_update(p, smap, NULL, BPF_NOEXIST, false);
	if (!IS_ERR(data))
		return data->data;

	/* Another CPU may have added it meanwhile. */
	if (PTR_ERR(data) != -EEXIST)
		return NULL;
	data = bpf_local_storage_lookup(rcu_dereference(p->bpf_storage), smap, false);

	return data ? data->data : NULL;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_task_storage_get, "SCHED_BPF");
ALLOW_ERROR_INJECTION(bpf_sched_task_storage_get, NULL);
