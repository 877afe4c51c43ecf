// SPDX-License-Identifier: GPL-2.0

//! Policies for the fair scheduling class, in safe Rust.
//!
//! A policy answers narrow questions at the decision points of the fair class, such as "may this
//! wakee preempt?", and leaves everything else to it: EEVDF picks, and keeps the accounts. It fills
//! the same table as a policy that is a BPF program, `struct bpf_sched_ops`, and is asked, bounded,
//! counted, shown and switched off by the same code: see `Documentation/scheduler/sched-bpf.rst`,
//! and `bpftool sched show`.
//!
//! C headers: [`include/linux/bpf_sched.h`](srctree/include/linux/bpf_sched.h),
//! [`include/linux/bpf_sched_hooks.h`](srctree/include/linux/bpf_sched_hooks.h).
//!
//! # Example
//!
//! A whole module:
//!
//! ```ignore
//! //! Tasks of negative nice values have short requests, which are served soon.
//!
//! use sched_bpf::prelude::*;
//!
//! module_sched_policy! {
//!     type: NiceFirst,
//!     name: "nice_first",
//!     description: "Serve tasks of negative nice values soon",
//!     license: "GPL",
//!     params: {
//!         shadow: bool {
//!             default: false,
//!             description: "Ask and count, but do not obey",
//!         },
//!     },
//! }
//!
//! struct NiceFirst;
//!
//! impl PolicyModule for NiceFirst {
//!     fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
//!         let flags = Flags::shadow(module_parameters::shadow.value());
//!
//!         Ok((Place::system(), Answers::new(cx, flags, Self)?))
//!     }
//! }
//!
//! #[vtable]
//! impl Policy for NiceFirst {
//!     const NAME: &'static CStr = c"nice_first";
//!
//!     fn slice(&self, _: &RqLocked<'_>, se: Entity<'_>, stock: Nanos) -> Option<Nanos> {
//!         let short = Nanos::from_micros(500).min(stock);
//!
//!         (se.task()?.nice() < 0).then_some(short)
//!     }
//! }
//! ```
//!
//! With this line in its Makefile, after the one that names the object:
//!
//! ```make
//! RUST_CRATES_nice_first.o := sched_bpf
//! ```
//!
//! # What a policy can do
//!
//! A crate that is built so sees [`core`] and this crate and nothing else of the kernel. Code
//! that is run with such a lock held must not sleep, allocate, print or take a lock. Here
//! it cannot: what does any of this takes a [`Process`] token, which [`PolicyModule::load`] gets
//! and callbacks do not. A callback gets an [`RqLocked`] token, or a [`PiLocked`] one where no rq
//! is locked, and views of the tasks and entities it is asked about. Neither can be kept, sent
//! elsewhere or used after the call.
//!
//! Unsafe code does not compile in such a crate, nor do attributes and macros by which safe code
//! could do the same, such as `#[no_mangle]` and `global_asm!`.
//!
//! # What this does not do
//!
//! - Limit how long a callback takes. The verifier does that for a BPF program; a module is
//!   trusted with it. A policy that takes too much time of a CPU is detached, but not before its
//!   call ends.
//! - Keep a callback from a panic of its own making, such as an index that is out of range, a sum
//!   that overflows with `CONFIG_RUST_OVERFLOW_CHECKS`, or a stack that is too deep. Nothing in
//!   this crate panics.
//!
//! # While a policy is loaded
//!
//! - A parameter with a `range` can be written in `/sys/module/<name>/parameters/`; a callback that
//!   reads it gets the one number or the other. What is not in the range is refused.
//! - What a policy counts itself, [`Policy::stats`] writes to `stats` in
//!   `/sys/kernel/debug/sched/bpf/`.
//! - Callbacks may leave messages in a [`Mailbox`] and have [`PolicyModule::work`] take them, where
//!   code may sleep. There all of the policy can be replaced at a single moment:
//!   [`Registration::replace`].
//!
//! # Adding a hook
//!
//! Add it to `include/linux/bpf_sched_hooks.h` as described there, a method to [`Policy`], and to
//! `Table` in `policy.rs` its callback and its place in the table. The compiler asks for the rest.

#![no_std]
//
// Please see https://github.com/Rust-for-Linux/linux/issues/2 for details on the unstable
// features in use. This one is for `#[kunit_tests]`.
#![cfg_attr(CONFIG_RUST_BPF_SCHED_KUNIT_TEST, feature(used_with_arg))]

mod cgroup;
mod context;
mod cpus;
mod entity;
pub mod error;
#[doc(hidden)]
pub mod for_module;
mod loader;
mod mailbox;
mod percpu;
mod policy;
mod registration;
mod stats;
mod task_storage;
#[cfg(CONFIG_RUST_BPF_SCHED_KUNIT_TEST)]
mod tests;
mod units;
mod verdict;

pub use cgroup::Cgroup;
pub use context::{
    Asked,
    PiLocked,
    Process,
    RqLocked, //
};
pub use entity::{
    Entity,
    SchedPolicy,
    Task,
    WakeFlags, //
};
pub use error::{
    Error,
    Result, //
};
pub use loader::PolicyModule;
pub use mailbox::Mailbox;
pub use percpu::{
    Counter,
    PerCpu, //
};
pub use policy::{
    Answers,
    Policy, //
};
pub use registration::{
    Flag,
    Flags,
    Place,
    Registration, //
};
pub use stats::Stats;
pub use task_storage::TaskStorage;
pub use units::{
    Average,
    Instant,
    Nanos,
    VirtualDelta,
    VirtualTime,
    Weight, //
};
pub use verdict::{
    Migrate,
    Tick,
    Wakeup, //
};

/// What a policy is made of, to be imported as a whole.
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::{
        error::{
            code::*,
            Error,
            Result, //
        },
        fmt,
        module_sched_policy,
        sync::atomic::{
            Atomic,
            Relaxed, //
        },
        vtable,
        Answers,
        Asked,
        Average,
        Cgroup,
        Counter,
        CpuId,
        Entity,
        Flag,
        Flags,
        Instant,
        Mailbox,
        Migrate,
        Nanos,
        PerCpu,
        PiLocked,
        Place,
        Policy,
        PolicyModule,
        Process,
        Registration,
        RqLocked,
        SchedPolicy,
        Stats,
        Task,
        TaskStorage,
        Tick,
        VirtualDelta,
        VirtualTime,
        WakeFlags,
        Wakeup,
        Weight, //
    };
    #[doc(no_inline)]
    pub use core::{
        ffi::CStr,
        pin::Pin, //
    };
}

// What a policy may see of other crates: nothing that sleeps, allocates, prints or locks.
pub use kernel::{
    cpu::CpuId,
    fmt,
    prelude::vtable, //
};
/// Arguments of [`Process::error()`] and others that print, as [`core::format_args!`].
#[macro_export]
macro_rules! fmt {
    ($($args:tt)*) => {
        $crate::for_module::fmt!(crate = $crate; $($args)*)
    };
}
/// Atomics, as in [`kernel::sync::atomic`].
pub mod sync {
    /// Atomics, as in [`kernel::sync::atomic`].
    pub mod atomic {
        pub use kernel::sync::atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        };
    }
}

const __LOG_PREFIX: &[u8] = b"sched_bpf\0";

// What `#[vtable]` names in this crate, which is no module: in its tests.
#[allow(dead_code)]
struct LocalModule;

impl kernel::ModuleMetadata for LocalModule {
    const NAME: &'static core::ffi::CStr = c"sched_bpf";

    const THIS_MODULE: kernel::ThisModule = {
        // SAFETY: Built-in code has a null pointer for its module.
        unsafe { kernel::ThisModule::from_ptr(core::ptr::null_mut()) }
    };
}
