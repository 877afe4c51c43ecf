// SPDX-License-Identifier: GPL-2.0

//! Cgroups, as scopes of policies and as sets of tasks.
//!
//! C header: [`include/linux/cgroup.h`](srctree/include/linux/cgroup.h)

use super::{
    error::code::ENOENT,
    Process,
    Result, //
};
use core::{
    ffi::CStr,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::from_err_ptr,
    str::CStrExt as _, //
};

/// A reference to a cgroup of the default (v2) hierarchy.
///
/// It cannot be cloned: it is released where it may be, with the policy that has it.
///
/// # Invariants
///
/// The pointer is valid and owns a reference.
pub struct Cgroup(NonNull<bindings::cgroup>);

// SAFETY: A reference to a cgroup may be released by another task than took it.
unsafe impl Send for Cgroup {}
// SAFETY: Nothing here changes a cgroup.
unsafe impl Sync for Cgroup {}

impl Cgroup {
    /// The cgroup at `path`, such as `/workload.slice`, from the root of the cgroup namespace of
    /// the task that runs, which is the one that loads the module.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none; `ENOTDIR` if it is a file.
    pub fn from_path(_cx: &Process<'_>, path: &CStr) -> Result<Self> {
        // SAFETY: `path` is a string that ends with a NUL.
        let cgrp = from_err_ptr(unsafe { bindings::cgroup_get_from_path(path.as_char_ptr()) })?;

        // INVARIANT: `cgroup_get_from_path()` returned a reference, which is now ours.
        NonNull::new(cgrp).map(Self).ok_or(ENOENT)
    }

    /// The cgroup with this id, the inode number of its directory.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none.
    pub fn from_id(_cx: &Process<'_>, id: u64) -> Result<Self> {
        // SAFETY: Any number may be asked for.
        let cgrp = from_err_ptr(unsafe { bindings::cgroup_get_from_id(id) })?;

        // INVARIANT: `cgroup_get_from_id()` returned a reference, which is now ours.
        NonNull::new(cgrp).map(Self).ok_or(ENOENT)
    }

    /// Its id, the inode number of its directory.
    #[inline]
    pub fn id(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { bindings::cgroup_id(self.0.as_ptr()) }
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut bindings::cgroup {
        self.0.as_ptr()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { bindings::cgroup_put(self.0.as_ptr()) };
    }
}
