// SPDX-License-Identifier: GPL-2.0

//! Policies for the fair scheduling class.
//!
//! A policy is a set of functions that the fair class calls at its decision points, such as "does
//! this wakee preempt the current task?". It supplies inputs only: EEVDF still picks the next task
//! and tracks lag, and the kernel checks every return value. A module registers a [`Policy`] by a
//! [`Registration`]. Policies in Rust have the hooks, bounds, counters, shadow mode and kill switch
//! of BPF programs.
//!
//! C header: [`include/linux/bpf_sched.h`](srctree/include/linux/bpf_sched.h)
//!
//! Reference: <https://docs.kernel.org/scheduler/sched-bpf-rust.html>
//!
//! # Examples
//!
//! A module that is a policy:
//!
//! ```ignore
//! //! Does not let the tasks of one process be preempted at wakeups.
//!
//! use kernel::{prelude::*, task::Task};
//! use sched_bpf::{Options, Policy, Registration, RqLocked, WakeFlags, Wakeup};
//!
//! module! {
//!     type: Calm,
//!     name: "calm",
//!     authors: ["sched_bpf contributors"],
//!     description: "Keep one process from being preempted",
//!     license: "GPL",
//!     imports_ns: ["SCHED_BPF"],
//!     params: {
//!         tgid: i32 { default: 0, description: "The process", },
//!     },
//! }
//!
//! #[pin_data]
//! struct Calm {
//!     #[pin]
//!     policy: Registration<Self>,
//! }
//!
//! impl kernel::InPlaceModule for Calm {
//!     fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
//!         try_pin_init!(Self { policy <- Registration::register(Options::default()) })
//!     }
//! }
//!
//! #[vtable]
//! impl Policy for Calm {
//!     const NAME: &'static CStr = c"calm";
//!
//!     fn check_preempt_wakeup(_: &RqLocked, curr: &Task, _: &Task, _: WakeFlags) -> Wakeup {
//!         if curr.tgid() == module_parameters::tgid.value() {
//!             return Wakeup::NoPreempt;
//!         }
//!         Wakeup::Pass
//!     }
//! }
//! ```

#![no_std]
// Please see https://github.com/Rust-for-Linux/linux/issues/2 for details on the unstable
// features in use. This one is for `#[kunit_tests]`.
#![cfg_attr(CONFIG_RUST_BPF_SCHED_KUNIT_TEST, feature(used_with_arg))]

mod cgroup;
mod entity;
mod policy;
mod registration;
mod task_storage;
#[cfg(CONFIG_RUST_BPF_SCHED_KUNIT_TEST)]
mod tests;

pub use cgroup::Cgroup;
pub use entity::{
    Entity,
    RqLocked, //
};
pub use policy::{
    Migrate,
    Policy,
    Tick,
    WakeFlag,
    WakeFlags,
    Wakeup, //
};
pub use registration::{
    Options,
    Registration, //
};
pub use task_storage::{
    Allocation,
    TaskStorage, //
};

#[cfg(CONFIG_RUST_BPF_SCHED_KUNIT_TEST)]
const __LOG_PREFIX: &[u8] = b"sched_bpf\0";

/// Dummy module type for `#[vtable]` `impl` blocks within this crate: those of its tests.
#[cfg(CONFIG_RUST_BPF_SCHED_KUNIT_TEST)]
struct LocalModule;

#[cfg(CONFIG_RUST_BPF_SCHED_KUNIT_TEST)]
impl kernel::ModuleMetadata for LocalModule {
    const NAME: &'static kernel::str::CStr = c"sched_bpf";

    const THIS_MODULE: kernel::ThisModule = {
        // SAFETY: Built-in code has a null pointer for its module.
        unsafe { kernel::ThisModule::from_ptr(core::ptr::null_mut()) }
    };
}
