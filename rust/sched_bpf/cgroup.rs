// SPDX-License-Identifier: GPL-2.0

//! Cgroups.
//!
//! C header: [`include/linux/cgroup.h`](srctree/include/linux/cgroup.h)

use core::ptr::NonNull;
use kernel::{
    bindings,
    error::from_err_ptr,
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        rcu, //
    },
    task::Task,
    types::Opaque, //
};

/// A `struct cgroup` of the default (v2) hierarchy.
///
/// # Invariants
///
/// Every instance is refcounted by `cgroup_get()` and `cgroup_put()`.
#[repr(transparent)]
pub struct Cgroup(Opaque<bindings::cgroup>);

// SAFETY: The last reference may be put by any task.
unsafe impl Send for Cgroup {}
// SAFETY: Methods on a shared reference use what C code synchronizes or never changes.
unsafe impl Sync for Cgroup {}

impl Cgroup {
    /// Looks up a cgroup by its id, the inode number of its directory.
    ///
    /// Returns `ENOENT` if there is none in the cgroup namespace of the current task.
    pub fn from_id(id: u64) -> Result<ARef<Self>> {
        // SAFETY: `cgroup_get_from_id()` may be called with any number.
        let cgrp = from_err_ptr(unsafe { bindings::cgroup_get_from_id(id) })?;
        let cgrp = NonNull::new(cgrp.cast::<Self>()).ok_or(ENOENT)?;

        // SAFETY: `cgroup_get_from_id()` returned a reference that is ours. `Self` is a
        // transparent wrapper of `struct cgroup`.
        Ok(unsafe { ARef::from_raw(cgrp) })
    }

    /// Returns a raw pointer to the cgroup.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::cgroup {
        self.0.get()
    }

    /// Returns true if `task` is in this cgroup or below it.
    #[inline]
    pub fn contains(&self, task: &Task) -> bool {
        let _rcu = rcu::read_lock();

        // SAFETY: Both are valid, and RCU keeps the cgroup of the task until this returns.
        unsafe { bindings::task_under_cgroup_hierarchy(task.as_ptr(), self.as_ptr()) }
    }
}

// SAFETY: The type invariant guarantees that a `Cgroup` is refcounted.
unsafe impl AlwaysRefCounted for Cgroup {
    #[inline]
    fn inc_ref(&self) {
        // SAFETY: A shared reference means that the refcount is not zero.
        unsafe { bindings::cgroup_get(self.as_ptr()) };
    }

    #[inline]
    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller has a reference, which it gives up.
        unsafe { bindings::cgroup_put(obj.cast().as_ptr()) };
    }
}
