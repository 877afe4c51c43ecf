// SPDX-License-Identifier: GPL-2.0

//! Keeps a policy attached.

use super::{
    policy::Head,
    Answers,
    Cgroup,
    Error,
    Process,
    Result, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    bindings,
    container_of,
    error::to_result,
    impl_flags,
    init::InPlaceInit,
    prelude::{
        pin_data,
        pinned_drop,
        KBox,
        Pin,
        GFP_KERNEL, //
    },
    types::Opaque, //
};
use pin_init::{
    pin_init,
    PinInit, //
};

impl_flags!(
    /// Flags of a policy.
    ///
    /// # Examples
    ///
    /// ```ignore
    /// # fn example() {
    /// let careful = Flags::from(Flag::Shadow);
    /// let bold = Flags::default();
    /// # }
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags(u64);

    /// A flag of a policy.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Flag {
        /// Asked and counted, never obeyed: the way to try a policy on a system that matters.
        Shadow = bindings::bpf_sched_flags_BPF_SCHED_F_SHADOW as u64,
    }
);

impl Flags {
    /// Only [`Flag::Shadow`], if `on`: for a module parameter.
    pub fn shadow(on: bool) -> Self {
        if on {
            Flag::Shadow.into()
        } else {
            Self::default()
        }
    }
}

/// Where a policy is attached: to all tasks, as the last to be asked, if nothing else is said.
#[derive(Default)]
pub struct Place {
    cgroup: Option<Cgroup>,
    order: u32,
}

impl Place {
    /// To all tasks.
    pub fn system() -> Self {
        Self::default()
    }

    /// To the tasks in `cgroup` and below it. When that is removed the policy is detached.
    pub fn cgroup(cgroup: Cgroup) -> Self {
        Self {
            cgroup: Some(cgroup),
            order: 0,
        }
    }

    /// Before the policies that are attached to the same tasks already.
    pub fn first(mut self) -> Self {
        self.order |= bindings::BPF_F_BEFORE;
        self
    }

    /// Before the policies of deeper cgroups, as with `BPF_F_PREORDER`.
    pub fn preorder(mut self) -> Self {
        self.order |= bindings::BPF_F_PREORDER;
        self
    }
}

/// A policy that is attached, until this is dropped.
///
/// It may be detached before: when it takes too much time of a CPU, or with its cgroup. Then nobody
/// asks it any more, and dropping this only frees it. A policy whose registration is never dropped
/// is detached when its module is unloaded.
///
/// Drop it where code may sleep. A policy cannot do otherwise: what it keeps is dropped with it.
///
/// # Unloading
///
/// No CPU is inside of a callback when its code goes, because of three things. The registration
/// names as owner the module that is loaded, which the [`Process`] token knows: not the crate of
/// the `impl` of [`Policy`](super::Policy), which for a generic type may be another one. Dropping
/// the registration waits until no CPU is inside. And if it is never dropped, which is safe, the
/// core detaches all policies of an owner before the memory of that is freed, in the same way.
///
/// # Invariants
///
/// `inner` was registered by `bpf_sched_register()`, and `answers` are what was registered last.
/// So no CPU is inside of others.
#[pin_data(PinnedDrop)]
pub struct Registration {
    #[pin]
    inner: Opaque<bindings::bpf_sched_registration>,
    answers: Answers,
}

// SAFETY: A policy may be unregistered by another task than registered it.
unsafe impl Send for Registration {}
// SAFETY: Methods on a shared reference call what may be called by several CPUs at a time.
unsafe impl Sync for Registration {}

impl Registration {
    /// Attaches a policy.
    ///
    /// # Errors
    ///
    /// `E2BIG` if there are 64 policies already; `EINVAL` if this one has no method; `ENOMEM`.
    pub fn new<'a>(
        cx: &'a Process<'_>,
        place: Place,
        answers: Answers,
    ) -> impl PinInit<Self, Error> + use<'a> {
        let owner = cx.owner();

        // What is attached is complete, so that its work may begin at once.
        pin_init!(&this in Self {
            answers,
            inner <- Opaque::try_ffi_init(
                move |slot: *mut bindings::bpf_sched_registration| {
                    let cgrp = place.cgroup.as_ref().map_or(ptr::null_mut(), Cgroup::as_ptr);

                    // SAFETY: The initializer can write to `slot`, of which zeroes are valid, and
                    // `answers` have been written. The registration is valid while callbacks
                    // run, as it is unregistered before it goes.
                    let ops = unsafe {
                        slot.write_bytes(0, 1);
                        (*slot).owner = owner;
                        (*slot).cgrp = cgrp;
                        (*slot).flags = place.order;
                        (*slot).show = Some(Head::show);
                        (*this.as_ptr()).answers.bind(slot);
                        (*this.as_ptr()).answers.ops()
                    };

                    // SAFETY: `slot` stays where it is and what it is until it is unregistered,
                    // as it is pinned. So does the table of `answers`, which are kept with it;
                    // if this fails nobody knows of them. The reference to the cgroup lives
                    // until this returns.
                    // INVARIANT: The type invariant holds if this returns `Ok(())`.
                    to_result(unsafe { bindings::bpf_sched_register(slot, ops) })
                        .map_err(Error::from)
                },
            ),
        }? Error)
    }

    /// The module that owns it, null for the kernel itself.
    #[cfg(CONFIG_RUST_BPF_SCHED_KUNIT_TEST)]
    pub(crate) fn owner(&self) -> *mut bindings::module {
        // SAFETY: It was written before the registration, and does not change.
        unsafe { (*self.inner.get()).owner }
    }

    /// As [`new()`](Self::new), in memory of its own.
    pub fn boxed(cx: &Process<'_>, place: Place, answers: Answers) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(Self::new(cx, place, answers), GFP_KERNEL)
    }

    /// Is the policy asked? It is not any more if it took too much time, or if its cgroup is gone.
    pub fn is_attached(&self, _cx: &Process<'_>) -> bool {
        // SAFETY: `inner` was registered, by the type invariant, and by the token this may sleep.
        unsafe { bindings::bpf_sched_is_attached(self.inner.get()) }
    }

    /// Lets other answers take the place of those that are attached, in their scope and their
    /// place in the order, with their id and their counters: each question is answered by the
    /// ones or by the others. Those that are replaced are dropped, and no CPU is inside of them
    /// then. If this fails they stay.
    ///
    /// # Errors
    ///
    /// `ENOLINK` if the policy has been detached; `EINVAL` if `answers` have no method.
    pub fn replace(self: Pin<&mut Self>, _cx: &Process<'_>, answers: Answers) -> Result {
        let this = self.project();

        // SAFETY: `inner` was registered, by the type invariant. The table of `answers` is kept
        // until they are unregistered or replaced, and `inner` is valid until then.
        to_result(unsafe {
            answers.bind(this.inner.get());
            bindings::bpf_sched_update(this.inner.get(), answers.ops())
        })?;

        // INVARIANT: No CPU is inside of the answers from before.
        *this.answers = answers;
        Ok(())
    }
}

/// The work in process context of a policy, until this is dropped.
///
/// # Invariants
///
/// The registration outlives this.
pub(crate) struct Worker(NonNull<bindings::bpf_sched_registration>);

// SAFETY: Any task may stop the work.
unsafe impl Send for Worker {}
// SAFETY: There are no methods on a shared reference.
unsafe impl Sync for Worker {}

impl Worker {
    /// Starts to have `work` run.
    ///
    /// # Safety
    ///
    /// The registration must outlive this, and nobody else may use it in this time. `work` must be
    /// one that can be called with its `inner`, while `inner` is registered.
    pub(crate) unsafe fn start(
        registration: Pin<&mut Registration>,
        work: unsafe extern "C" fn(*mut bindings::bpf_sched_registration),
    ) -> Self {
        let inner = registration.inner.get();

        // SAFETY: It was registered, and `work` is for it by the safety requirement.
        unsafe { bindings::bpf_sched_start_work(inner, Some(work)) };
        // INVARIANT: By the safety requirement.
        // SAFETY: It is a part of the registration, so it is not null.
        Self(unsafe { NonNull::new_unchecked(inner) })
    }

    /// The registration that the function of [`start()`](Self::start) was called with.
    ///
    /// # Safety
    ///
    /// `inner` must be what it got, and the result must not be used after it.
    pub(crate) unsafe fn registration<'a>(
        inner: *mut bindings::bpf_sched_registration,
    ) -> Pin<&'a mut Registration> {
        // SAFETY: It is the `inner` of a registration, which is pinned and which nobody else uses.
        unsafe {
            let inner = inner.cast::<Opaque<bindings::bpf_sched_registration>>();

            Pin::new_unchecked(&mut *container_of!(inner, Registration, inner))
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SAFETY: The registration is valid by the type invariant.
        unsafe { bindings::bpf_sched_stop_work(self.0.as_ptr()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Registration {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: It was registered, by the type invariant. On return no CPU is inside the
        // answers, which are dropped next.
        unsafe { bindings::bpf_sched_unregister(self.inner.get()) };
    }
}
