// SPDX-License-Identifier: GPL-2.0

//! Tokens of the context that code runs in.
//!
//! Nothing in this crate sleeps, allocates, prints or takes a lock without a [`Process`] token,
//! and a policy crate has no other way to reach the kernel. Callbacks get an [`RqLocked`] or a
//! [`PiLocked`] token instead, and no token can be kept.

use super::{
    policy::Head,
    Instant, //
};
use core::{
    ffi::CStr,
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    bindings,
    fmt,
    prelude::fmt,
    print,
    types::NotThreadSafe,
    ThisModule, //
};

/// Proof that a question is being asked: interrupts are off, and a lock is held. Which one an
/// [`RqLocked`] or a [`PiLocked`] says, which both are this and more.
///
/// # Invariants
///
/// `policy` is what a callback of this crate got, and is valid for `'a`. For `'a` interrupts are
/// off on this CPU, which makes an RCU read-side section.
pub struct Asked<'a> {
    policy: &'a bindings::bpf_sched_policy,
    _not_send: NotThreadSafe,
}

/// Proof that a question is being asked with the lock of an rq held.
///
/// # Invariants
///
/// For `'a` the lock of the rq in question is held by this CPU.
pub struct RqLocked<'a>(Asked<'a>);

/// Proof that a question is being asked about a task whose `pi_lock` is held, and no rq: what is
/// known of the queues of CPUs may be over when the answer is obeyed.
///
/// # Invariants
///
/// For `'a` the `pi_lock` of the task in question is held by this CPU.
pub struct PiLocked<'a>(Asked<'a>);

impl<'a> Deref for RqLocked<'a> {
    type Target = Asked<'a>;

    #[inline]
    fn deref(&self) -> &Asked<'a> {
        &self.0
    }
}

impl<'a> Deref for PiLocked<'a> {
    type Target = Asked<'a>;

    #[inline]
    fn deref(&self) -> &Asked<'a> {
        &self.0
    }
}

impl<'a> RqLocked<'a> {
    /// # Safety
    ///
    /// `policy` must be what a callback of this crate got, and valid for all of `'a`. So long the
    /// lock of the rq of `se`, which must be valid, must be held by this CPU, and an RCU read-side
    /// section must last.
    #[inline]
    pub(crate) unsafe fn assume(
        policy: *const bindings::bpf_sched_policy,
        se: *mut bindings::sched_entity,
    ) -> Self {
        // What is claimed of the lock is checked where lockdep can do so.
        #[cfg(CONFIG_LOCKDEP)]
        // SAFETY: The entity is valid by the safety requirements.
        unsafe {
            bindings::bpf_sched_assert_locked(se)
        };
        #[cfg(not(CONFIG_LOCKDEP))]
        let _ = se;

        // INVARIANT: By the safety requirements.
        // SAFETY: By the safety requirements; interrupts are off where an rq is locked.
        Self(unsafe { Asked::assume(policy) })
    }
}

impl<'a> PiLocked<'a> {
    /// # Safety
    ///
    /// `policy` must be what a callback of this crate got, and valid for all of `'a`. So long the
    /// `pi_lock` of `p`, which must be valid, must be held by this CPU, and interrupts be off.
    #[inline]
    pub(crate) unsafe fn assume(
        policy: *const bindings::bpf_sched_policy,
        p: *mut bindings::task_struct,
    ) -> Self {
        // What is claimed of the lock is checked where lockdep can do so.
        #[cfg(CONFIG_LOCKDEP)]
        // SAFETY: The task is valid by the safety requirements.
        unsafe {
            bindings::bpf_sched_assert_pi_locked(p)
        };
        #[cfg(not(CONFIG_LOCKDEP))]
        let _ = p;

        // INVARIANT: By the safety requirements.
        // SAFETY: By the safety requirements.
        Self(unsafe { Asked::assume(policy) })
    }
}

impl<'a> Asked<'a> {
    /// # Safety
    ///
    /// `policy` must be what a callback of this crate got, and valid for all of `'a`. So long
    /// interrupts must be off.
    #[inline]
    unsafe fn assume(policy: *const bindings::bpf_sched_policy) -> Self {
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

    /// Has [`PolicyModule::work`](super::PolicyModule::work) run soon, in process context. If it is
    /// running it runs again; several calls before it does so are one.
    #[inline]
    pub fn schedule_work(&self) {
        // SAFETY: By the type invariant.
        unsafe { Head::schedule_work(self.policy) };
    }

    /// Monotonic time, as precise as can be had without a lock.
    #[inline]
    pub fn now(&self) -> Instant {
        // SAFETY: `ktime_get_mono_fast_ns()` may be called in any context.
        Instant::new(unsafe { bindings::ktime_get_mono_fast_ns() })
    }
}

/// Proof of process context, in which a policy is made: code may sleep.
///
/// # Invariants
///
/// The code that has it may sleep.
pub struct Process<'a> {
    name: &'static CStr,
    module: &'static ThisModule,
    _life: PhantomData<&'a ()>,
    _not_send: NotThreadSafe,
}

impl Process<'_> {
    /// # Safety
    ///
    /// The caller must be in process context, without a spinlock, as long as the token lives.
    ///
    /// `module`, whose name is `name`, must contain all code that is reached through a policy that
    /// is made with this token and can be unloaded: see [`owner()`](Self::owner).
    pub(crate) unsafe fn assume(name: &'static CStr, module: &'static ThisModule) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            name,
            module,
            _life: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    /// The module that is loaded, null for built-in code, which owns the policies that it makes.
    ///
    /// It is this one that unloading has to wait for, whoever wrote the `impl` of
    /// [`Policy`](super::Policy): callbacks are instances of generic code, which the crate that
    /// names the type, the module's, is where they are compiled. What is not in the module is
    /// in the kernel, or in modules that it depends on, which cannot be unloaded before it.
    pub(crate) fn owner(&self) -> *mut bindings::module {
        self.module.as_ptr()
    }

    /// Prints a line, which is to end with `\n`, at the level of an error, after the name of the
    /// module. What of it is beyond 255 bytes is left out.
    ///
    /// # Examples
    ///
    /// ```ignore
    /// # fn example(cx: &Process<'_>, us: u64) {
    /// cx.error(fmt!("cap_us={us}: more than 1000000\n"));
    /// # }
    /// ```
    pub fn error(&self, args: fmt::Arguments<'_>) {
        self.print(&print::format_strings::ERR, args);
    }

    /// As [`error()`](Self::error), at the level of information.
    pub fn info(&self, args: fmt::Arguments<'_>) {
        self.print(&print::format_strings::INFO, args);
    }

    fn print(&self, format: &[u8; print::format_strings::LENGTH], args: fmt::Arguments<'_>) {
        let mut line = Line::new();

        // printk() formats with interrupts off, and a `Display` of the caller may use this token.
        // So it is run here; what it fails with, or what is too long, leaves the line shorter.
        let _ = fmt::Write::write_fmt(&mut line, args);

        // SAFETY: The format string is one of those made for this, and the name ends with a NUL.
        unsafe {
            print::call_printk(
                format,
                self.name.to_bytes_with_nul(),
                fmt!("{}", line.as_str()),
            )
        }
    }
}

/// A line to be printed, in no memory but its own.
pub(crate) struct Line {
    bytes: [u8; 255],
    len: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; 255],
            len: 0,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.len).unwrap_or(&[]);

        // The end may be inside of a character.
        written
            .utf8_chunks()
            .next()
            .map_or("", |chunk| chunk.valid())
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for &byte in part.as_bytes() {
            *self.bytes.get_mut(self.len).ok_or(fmt::Error)? = byte;
            self.len = self.len.saturating_add(1);
        }
        Ok(())
    }
}
