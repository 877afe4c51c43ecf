// SPDX-License-Identifier: GPL-2.0

//! Makes a kernel module of a policy.

use super::{
    Answers,
    Error,
    Place,
    Process,
    Registration,
    Result,
    Worker, //
};
use core::pin::Pin;
use kernel::{
    bindings,
    ModuleMetadata,
    ThisModule, //
};
use pin_init::{
    pin_init_from_closure,
    raw_try_init,
    PinInit, //
};

/// A module that is a policy: attached when that is loaded, detached when it is unloaded.
pub trait PolicyModule {
    /// Makes the policy and says where it is attached.
    ///
    /// This is the place to check the parameters of the module and to allocate what the policy
    /// needs. An error is what loading the module fails with; say why by
    /// [`cx.error()`](Process::error).
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)>;

    /// Works in process context: once after the policy was attached, and again after each
    /// [`schedule_work()`](super::RqLocked::schedule_work) of a callback. Not twice at a time.
    ///
    /// This is the place to look at what callbacks have left, in a [`Mailbox`](super::Mailbox) or
    /// elsewhere, to print it, and to [`replace()`](Registration::replace) what is attached.
    /// Unloading the module waits until it is over.
    fn work(_cx: &Process<'_>, _policy: Pin<&mut Registration>) {}
}

/// What `module!` asks of the type that it makes a module of.
#[doc(hidden)]
pub trait InPlaceModule: Sync + Send {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error>;
}

/// Loads the policy `T` of the module `M`.
///
/// # Safety
///
/// The initializer must be run by the initialization of `module`, which must be that of `M`, null
/// if it is built-in.
#[doc(hidden)]
pub unsafe fn load<T, M>(module: &'static ThisModule) -> impl PinInit<Registration, Error>
where
    T: PolicyModule,
    M: ModuleMetadata,
{
    let init = move |slot| {
        // SAFETY: By the safety requirement: modules are initialized in process context. This
        // function is an instance for types of the module, so that what it reaches is in the
        // module, in those that it depends on, or in the kernel.
        let cx = unsafe { Process::assume(M::NAME, module) };
        let (place, answers) = T::load(&cx)?;

        // SAFETY: The requirements of this closure are those of an initializer.
        unsafe { raw_try_init(slot, Registration::new(&cx, place, answers)) }
    };

    // SAFETY: The closure is the initializer of the registration, when it gets to that.
    unsafe { pin_init_from_closure(init) }
}

/// Starts the work of the policy `T` of the module `M`.
///
/// # Safety
///
/// The registration must be that of `M`, which outlives the result, and is used by nobody else in
/// this time.
#[doc(hidden)]
pub unsafe fn start_work<T, M>(registration: Pin<&mut Registration>) -> Worker
where
    T: PolicyModule,
    M: ModuleMetadata,
{
    /// # Safety
    ///
    /// To be called as the work of the registration of `M`.
    unsafe extern "C" fn work<T, M>(registration: *mut bindings::bpf_sched_registration)
    where
        T: PolicyModule,
        M: ModuleMetadata,
    {
        // SAFETY: Work is done in process context. This function is an instance for types of the
        // module, as `load()` is.
        let cx = unsafe { Process::assume(M::NAME, &M::THIS_MODULE) };

        // SAFETY: That is what it was called with.
        T::work(&cx, unsafe { Worker::registration(registration) });
    }

    // SAFETY: By the safety requirements.
    unsafe { Worker::start(registration, work::<T, M>) }
}

/// Declares a kernel module that is a policy.
///
/// It is used as [`kernel::prelude::module!`] is, with a type that implements [`PolicyModule`].
/// The crate is to be built with `RUST_CRATES_<file>.o := sched_bpf` in its Makefile: then this
/// crate is all of the kernel that it can name.
#[macro_export]
macro_rules! module_sched_policy {
    (
        type: $type:ty,
        name: $name:tt,
        $(authors: $authors:tt,)?
        $(description: $description:tt,)?
        license: $license:tt,
        $(params: $params:tt,)?
    ) => {
        // What is made of `module!` names these crates; here they are the parts that a policy
        // may see.
        extern crate sched_bpf as kernel;
        extern crate sched_bpf as pin_init;

        #[$crate::__pin_data]
        struct SchedPolicyModule {
            // What uses the registration is dropped before it.
            _worker: $crate::Worker,
            #[pin]
            registration: $crate::Registration,
        }

        impl $crate::InPlaceModule for SchedPolicyModule {
            fn init(
                module: &'static $crate::ThisModule,
            ) -> impl $crate::PinInit<Self, $crate::error::Error> {
                // Whoever can name this type can run its initializer, but not before the module
                // loader does.
                static LOADED: $crate::sync::atomic::Atomic<u32> =
                    $crate::sync::atomic::Atomic::<u32>::new(0);

                $crate::__pin_init!(Self {
                    registration <- {
                        if LOADED.xchg(1, $crate::sync::atomic::Relaxed) != 0 {
                            Err($crate::error::code::EBUSY)?;
                        }
                        // SAFETY: The first one to get here is the module loader, as no other
                        // code of the module has been run. It passes the module of this crate.
                        unsafe { $crate::__load::<$type, Self>(module) }
                    },
                    // SAFETY: Nobody can name the registration, which is dropped after this.
                    _worker: unsafe { $crate::__start_work::<$type, Self>(registration) },
                }? $crate::error::Error)
            }
        }

        $crate::__module! {
            type: SchedPolicyModule,
            name: $name,
            $(authors: $authors,)?
            $(description: $description,)?
            license: $license,
            // Of what the crate needs, so that no policy has to say it.
            imports_ns: ["SCHED_BPF"],
            $(params: $params,)?
        }
    };
}
