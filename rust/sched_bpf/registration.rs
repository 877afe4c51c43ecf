// SPDX-License-Identifier: GPL-2.0

//! Registration of policies.
//!
//! C source: [`kernel/sched/bpf/module.c`](srctree/kernel/sched/bpf/module.c)

use super::{
    policy::Ops,
    Cgroup,
    Policy, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    error::to_result,
    module::this_module,
    prelude::*,
    types::Opaque, //
};

/// Options for registering a policy. The default is a policy that is called for all tasks.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Call the policy for the tasks in this cgroup and below it only.
    pub cgroup: Option<&'a Cgroup>,
    /// Call and count the policy, but pass over its results.
    pub shadow: bool,
}

impl Options<'_> {
    /// Create a raw `struct bpf_sched_module` ready for registration.
    ///
    /// It refers to the cgroup without owning a reference.
    fn into_raw<T: Policy>(self) -> bindings::bpf_sched_module {
        let mut result: bindings::bpf_sched_module = pin_init::zeroed();

        result.ops = Ops::<T>::OPS;
        if self.shadow {
            result.ops.flags |= u64::from(bindings::bpf_sched_flags_BPF_SCHED_F_SHADOW);
        }
        result.owner = this_module::<T::OwnerModule>().as_ptr();
        result.cgrp = self.cgroup.map_or(ptr::null_mut(), Cgroup::as_ptr);
        result
    }
}

/// A registration of a policy.
///
/// Dropping it unregisters the policy and waits until no CPU is inside of its functions. It may
/// sleep.
///
/// # Examples
///
/// Count what a policy would do to the tasks of a cgroup:
///
/// ```ignore
/// fn try_out<T: Policy>(cgroup_id: u64) -> Result<Pin<KBox<Registration<T>>>> {
///     let cgroup = Cgroup::from_id(cgroup_id)?;
///     let opts = Options {
///         cgroup: Some(&cgroup),
///         shadow: true,
///     };
///
///     KBox::pin_init(Registration::register(opts), GFP_KERNEL)
/// }
/// ```
///
/// # Invariants
///
/// `inner` is registered by `bpf_sched_register()`, with the functions of `T`.
#[pin_data(PinnedDrop)]
pub struct Registration<T> {
    #[pin]
    inner: Opaque<bindings::bpf_sched_module>,
    _policy: PhantomData<T>,
}

// SAFETY: A policy may be unregistered by another task than registered it. No `T` is sent.
unsafe impl<T> Send for Registration<T> {}
// SAFETY: There are no methods on a shared reference.
unsafe impl<T> Sync for Registration<T> {}

impl<T: Policy> Registration<T> {
    /// Registers a policy. The kernel may call it before this returns.
    ///
    /// Returns `EINVAL` if `T` implements no hook, and `ENOMEM` if there is no memory for its
    /// counters.
    pub fn register<'a>(opts: Options<'a>) -> impl PinInit<Self, Error> + use<'a, T> {
        try_pin_init!(Self {
            inner <- Opaque::try_ffi_init(move |slot: *mut bindings::bpf_sched_module| {
                // SAFETY: The initializer can write to the provided `slot`.
                unsafe { slot.write(opts.into_raw::<T>()) };

                // SAFETY: We just wrote the options to the slot. The memory is pinned, and the
                // destructor of this type unregisters the policy before it is deallocated. The
                // cgroup outlives this closure, as `opts` borrows it, and C takes a reference.
                // INVARIANT: If this returns `Ok(())`, then `slot` is registered.
                to_result(unsafe { bindings::bpf_sched_register(slot) })
            }),
            _policy: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: It is registered by the type invariant.
        unsafe { bindings::bpf_sched_unregister(self.inner.get()) };
    }
}
