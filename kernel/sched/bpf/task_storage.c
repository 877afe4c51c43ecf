// SPDX-License-Identifier: GPL-2.0
/*
 * State that a policy of kernel code keeps of tasks: that of BPF_MAP_TYPE_TASK_STORAGE,
 * without a BPF program or an id. So it is freed with its task, is found through the
 * task, and can be added while the lock of an rq is held.
 */

#include <linux/bpf.h>
#include <linux/bpf_local_storage.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "internal.h"

/**
 * bpf_sched_task_storage_alloc - make a storage for state of tasks
 * @size: bytes of the state of one task, aligned to 8 bytes
 *
 * Context: process context, sleeps.
 * Return: the storage; -E2BIG if @size is more than BPF allows; -ENOMEM.
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

	if (size > BPF_LOCAL_STORAGE_MAX_VALUE_SIZE)
		return ERR_PTR(-E2BIG);

	map = ops->map_alloc(&attr);
	if (!IS_ERR(map))
		map->ops = ops;

	return map;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_task_storage_alloc, "SCHED_BPF");

/**
 * bpf_sched_task_storage_free - free a storage and the state of all tasks in it
 * @map: the storage, which nobody looks at any more
 *
 * Context: process context, sleeps for grace periods.
 */
void bpf_sched_task_storage_free(struct bpf_map *map)
{
	migrate_disable();
	map->ops->map_free(map);
	migrate_enable();
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_task_storage_free, "SCHED_BPF");

static void *find(struct bpf_local_storage_map *smap, struct task_struct *p)
{
	struct bpf_local_storage *storage = rcu_dereference(p->bpf_storage);
	struct bpf_local_storage_data *data;

	data = storage ? bpf_local_storage_lookup(storage, smap, true) : NULL;

	return data ? data->data : NULL;
}

/**
 * bpf_sched_task_storage_get - find the state of a task
 * @map: the storage
 * @p: the task, whose rq is locked
 * @init: what the state is to begin with, if there is none; NULL to add none
 *
 * Context: interrupts are off.
 * Return: the state, which is valid while the rq is locked; NULL if there is none and
 * @init is NULL, or if there is no memory.
 */
void *bpf_sched_task_storage_get(struct bpf_map *map, struct task_struct *p, void *init)
{
	struct bpf_local_storage_map *smap = container_of(map, struct bpf_local_storage_map, map);
	struct bpf_local_storage_data *data;
	void *state;

	guard(rcu)();

	state = find(smap, p);
	if (state || !init)
		return state;

	data = bpf_local_storage_update(p, smap, init, BPF_NOEXIST, false);

	return IS_ERR(data) ? NULL : data->data;
}
EXPORT_SYMBOL_NS_GPL(bpf_sched_task_storage_get, "SCHED_BPF");
