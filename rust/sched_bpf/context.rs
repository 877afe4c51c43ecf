// SPDX-License-Identifier: GPL-2.0

//! Tokens of the context that code runs in.
//!
//! Nothing in this crate sleeps, allocates, prints or takes a lock without a [`Process`] token,
//! and a policy crate has no other way to reach the kernel. Callbacks get a [`RqLocked`] token
//! instead, and neither token can be kept.

use super::Nanos;
use core::{
    ffi::CStr,
    marker::PhantomData, //
};
use kernel::{
    bindings,
    fmt,
    print,
    types::NotThreadSafe, //
};

/// Proof that a question is being asked: the lock of an rq is held and interrupts are off.
///
/// # Invariants
///
/// `policy` is valid for `'a`, and for `'a` the lock of the rq in question is held by this CPU,
/// inside an RCU read-side section.
pub struct RqLocked<'a> {
    policy: &'a bindings::bpf_sched_policy,
    _not_send: NotThreadSafe,
}

impl<'a> RqLocked<'a> {
    /// # Safety
    ///
    /// For all of `'a` `policy` must be a valid `struct bpf_sched_policy`, the lock of the rq in
    /// question must be held by this CPU, and an RCU read-side section must last.
    #[inline]
    pub(crate) unsafe fn assume(policy: *const bindings::bpf_sched_policy) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: By the safety requirements.
            policy: unsafe { &*policy },
            _not_send: NotThreadSafe,
        }
    }

    /// The number of the attachment that is asked, as `bpftool sched show` shows it.
    #[inline]
    pub fn policy_id(&self) -> u32 {
        self.policy.id
    }

    /// The id of the cgroup that the policy is attached to, or zero.
    #[inline]
    pub fn cgroup_id(&self) -> u64 {
        self.policy.cgroup_id
    }

    /// Monotonic time, as precise as can be had without a lock.
    #[inline]
    pub fn now(&self) -> Nanos {
        // SAFETY: `ktime_get_mono_fast_ns()` may be called in any context.
        Nanos::new(unsafe { bindings::ktime_get_mono_fast_ns() })
    }
}

/// Proof of process context, in which a policy is made: code may sleep.
///
/// # Invariants
///
/// The code that has it may sleep.
pub struct Process<'a> {
    module: &'static CStr,
    _life: PhantomData<&'a ()>,
    _not_send: NotThreadSafe,
}

impl Process<'_> {
    /// # Safety
    ///
    /// The caller must be in process context, without a spinlock, as long as the token lives.
    pub(crate) unsafe fn assume(module: &'static CStr) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            module,
            _life: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    /// Prints a line, which is to end with `\n`, at the level of an error, after the name of the
    /// module.
    ///
    /// # Examples
    ///
    /// ```ignore
    /// cx.error(fmt!("cap_us={us}: more than 1000000\n"));
    /// ```
    pub fn error(&self, args: fmt::Arguments<'_>) {
        // SAFETY: The format string is one of those made for this, and the name ends with a NUL.
        unsafe {
            print::call_printk(
                &print::format_strings::ERR,
                self.module.to_bytes_with_nul(),
                args,
            )
        }
    }
}
