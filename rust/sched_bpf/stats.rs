// SPDX-License-Identifier: GPL-2.0

//! What a policy counts itself, shown beside what the core counts of it.
//!
//! C source: [`kernel/sched/bpf/module.c`](srctree/kernel/sched/bpf/module.c)

use core::ffi::CStr;
use kernel::{
    bindings,
    str::CStrExt as _, //
};

/// Where a policy writes what it counts: `stats` in `/sys/kernel/debug/sched/bpf/`, which has a
/// line for each.
///
/// # Invariants
///
/// `file` and `policy` are what `bpf_sched_registration::show` got, and are valid for `'a`.
pub struct Stats<'a> {
    file: *mut bindings::seq_file,
    policy: &'a bindings::bpf_sched_policy,
}

impl<'a> Stats<'a> {
    /// # Safety
    ///
    /// The pointers must be what `bpf_sched_registration::show` got, and valid for `'a`.
    pub(crate) unsafe fn from_raw(
        file: *mut bindings::seq_file,
        policy: *const bindings::bpf_sched_policy,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            file,
            // SAFETY: By the safety requirements.
            policy: unsafe { &*policy },
        }
    }

    /// Writes that `name` has happened `value` times, or whatever the number means.
    pub fn add(&mut self, name: &CStr, value: u64) {
        // SAFETY: The pointers are valid by the type invariant, and the name ends with a NUL.
        unsafe { bindings::bpf_sched_show_stat(self.file, self.policy, name.as_char_ptr(), value) };
    }
}
