// SPDX-License-Identifier: GPL-2.0

//! State that a policy keeps of tasks.
//!
//! C source: [`kernel/sched/bpf/task_storage.c`](srctree/kernel/sched/bpf/task_storage.c)

use core::{
    marker::PhantomData,
    mem::{
        align_of,
        needs_drop,
        size_of, //
    },
    ptr::null_mut, //
};
use kernel::{
    bindings,
    error::from_err_ptr,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        rcu, //
    },
    task::Task, //
};

/// A `V` for each task that has one, as in a `BPF_MAP_TYPE_TASK_STORAGE` map.
///
/// It is a static, as the functions of a [`Policy`](super::Policy) have no other state, and is
/// empty unless there is an [`Allocation`] of it. A `V` begins as zeroes. It is freed with its task
/// or with the [`Allocation`], and is not dropped. It has at most 1 KiB.
///
/// # Examples
///
/// ```ignore
/// #[derive(Zeroable)]
/// struct Seen {
///     wakeups: Atomic<u64>,
/// }
///
/// static SEEN: TaskStorage<Seen> = TaskStorage::new();
///
/// /// In a hook or in process context, while there is a `SEEN.alloc()?`.
/// fn woken(task: &Task) {
///     if let Some(seen) = SEEN.get_or_zeroed(task, &rcu::read_lock()) {
///         seen.wakeups.add(1, Relaxed);
///     }
/// }
/// ```
///
/// # Invariants
///
/// `map` is null or points to a map of `bpf_sched_task_storage_alloc()` with the size of `V`. A map
/// is freed a grace period after `map` has become null.
pub struct TaskStorage<V> {
    map: Atomic<*mut bindings::bpf_map>,
    _state: PhantomData<V>,
}

impl<V: Zeroable + Sync> TaskStorage<V> {
    /// Creates a storage that has no memory yet, for a static.
    #[expect(clippy::new_without_default, reason = "it is for statics")]
    pub const fn new() -> Self {
        const {
            assert!(!needs_drop::<V>(), "state of tasks is not dropped");
            assert!(align_of::<V>() <= 8, "state of tasks is aligned to 8 bytes");
            assert!(
                0 < size_of::<V>()
                    && size_of::<V>() <= bindings::BPF_SCHED_TASK_STORAGE_MAX as usize,
                "state of tasks has 1 byte to 1 KiB"
            );
        }

        // INVARIANT: `map` is null.
        Self {
            map: Atomic::new(null_mut()),
            _state: PhantomData,
        }
    }

    /// Allocates the storage until the result is dropped. It may sleep.
    ///
    /// Returns `EBUSY` if it is allocated already, and `ENOMEM` if there is no memory for it.
    pub fn alloc(&'static self) -> Result<Allocation<V>> {
        // SAFETY: It may be called with any size.
        let map = unsafe { bindings::bpf_sched_task_storage_alloc(size_of::<V>() as u32) };
        let map = from_err_ptr(map)?;

        // INVARIANT: `map` is of this size.
        if self.map.cmpxchg(null_mut(), map, Release).is_err() {
            // SAFETY: Nothing else knows of `map`.
            unsafe { bindings::bpf_sched_task_storage_free(map) };
            return Err(EBUSY);
        }

        // INVARIANT: Nothing else makes `self.map` null.
        Ok(Allocation { storage: self })
    }

    /// Returns the state of `task` if it has one.
    #[inline]
    pub fn get<'a>(&self, task: &'a Task, rcu: &'a rcu::Guard) -> Option<&'a V> {
        self.find(task, rcu, false)
    }

    /// Returns the state of `task`, a new one if it has none.
    ///
    /// Returns [`None`] if there is no memory for it, which can be different the next time. On
    /// `PREEMPT_RT` there is none in hard interrupt context, so not for a hook that a tick calls.
    #[inline]
    pub fn get_or_zeroed<'a>(&self, task: &'a Task, rcu: &'a rcu::Guard) -> Option<&'a V> {
        self.find(task, rcu, true)
    }

    #[inline]
    fn find<'a>(&self, task: &'a Task, _rcu: &'a rcu::Guard, create: bool) -> Option<&'a V> {
        let map = self.map.load(Acquire);

        if map.is_null() {
            return None;
        }

        // SAFETY: `map` is a map by the type invariant, and is not freed before the end of the RCU
        // read-side section. The task is valid, and thus has a reference.
        let state = unsafe { bindings::bpf_sched_task_storage_get(map, task.as_ptr(), create) };

        // SAFETY: `state` is null or has the size of `V` by the type invariant. It began as zeroes,
        // which are a `V`, and there are only shared references to it. It is valid as long as the
        // task is and the RCU read-side section lasts, which is `'a`.
        unsafe { state.cast::<V>().as_ref() }
    }
}

/// The memory of a [`TaskStorage`]. Dropping it frees the state of all tasks; it may sleep.
///
/// # Invariants
///
/// `storage.map` is not null, and only dropping this makes it null.
#[must_use = "the storage is freed when this is dropped"]
pub struct Allocation<V: 'static> {
    storage: &'static TaskStorage<V>,
}

impl<V> Drop for Allocation<V> {
    fn drop(&mut self) {
        let map = self.storage.map.xchg(null_mut(), Relaxed);

        // SAFETY: By the type invariant of `TaskStorage` this is a map, and by that of `Self` it
        // was not freed yet. `bpf_sched_task_storage_free()` waits for a grace period before it
        // frees anything, after which nothing uses it.
        unsafe { bindings::bpf_sched_task_storage_free(map) };
    }
}
