// SPDX-License-Identifier: GPL-2.0

//! Makes a kernel module of a policy.

use super::{
    error::code::EBUSY,
    registration::Worker,
    Answers,
    Error,
    Place,
    Process,
    Registration,
    Result, //
};
use core::pin::Pin;
use kernel::{
    bindings,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    ModuleMetadata,
    ThisModule, //
};
use pin_init::{
    pin_data,
    pin_init,
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
    /// [`schedule_work()`](super::Asked::schedule_work) of a callback. Not twice at a time.
    ///
    /// This is the place to look at what callbacks have left, in a [`Mailbox`](super::Mailbox) or
    /// elsewhere, to print it, and to [`replace()`](Registration::replace) what is attached.
    /// Unloading the module waits until it is over.
    fn work(_cx: &Process<'_>, _policy: Pin<&mut Registration>) {}
}

/// What `module!` asks of the type that it makes a module of.
pub trait InPlaceModule: Sync + Send {
    /// The initializer, for `module`.
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error>;
}

/// A policy that was loaded, which is all that its module has.
#[pin_data]
pub struct Loaded {
    // What uses the registration is dropped before it.
    _worker: Worker,
    #[pin]
    registration: Registration,
}

impl Loaded {
    /// Loads the policy `T` of the module `M`, whose module is `module`, unless `loaded` is set,
    /// and sets that: whoever can name a module can run its initializer, but not before the module
    /// loader does.
    ///
    /// # Safety
    ///
    /// The initializer must be run by the initialization of `M` before any other code of that.
    /// Nobody else uses `loaded`, which is zero at first. `module` is null if `M` is built-in.
    pub unsafe fn new<T, M>(
        module: &'static ThisModule,
        loaded: &'static Atomic<u32>,
    ) -> impl PinInit<Self, Error>
    where
        T: PolicyModule,
        M: ModuleMetadata,
    {
        pin_init!(Self {
            registration <- {
                if loaded.xchg(1, Relaxed) != 0 {
                    Err(EBUSY)?;
                }
                // SAFETY: This is the first time, by the safety requirement.
                unsafe { load::<T, M>(module) }
            },
            // SAFETY: Nobody else can get at the registration, which is dropped after this.
            _worker: unsafe { start_work::<T, M>(registration) },
        }? Error)
    }
}

/// Loads the policy `T` of the module `M`.
///
/// # Safety
///
/// The initializer must be run by the initialization of `module`, which must be that of `M`, null
/// if it is built-in.
unsafe fn load<T, M>(module: &'static ThisModule) -> impl PinInit<Registration, Error>
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
unsafe fn start_work<T, M>(registration: Pin<&mut Registration>) -> Worker
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
        #[repr(transparent)]
        struct SchedPolicyModule($crate::for_module::Loaded);

        impl $crate::for_module::InPlaceModule for SchedPolicyModule {
            fn init(
                module: &'static $crate::for_module::ThisModule,
            ) -> impl $crate::for_module::pin_init::PinInit<Self, $crate::Error> {
                static LOADED: $crate::sync::atomic::Atomic<u32> =
                    $crate::sync::atomic::Atomic::<u32>::new(0);

                // SAFETY: What runs this first is the module loader, which passes the module of
                // this crate.
                let init =
                    unsafe { $crate::for_module::Loaded::new::<$type, Self>(module, &LOADED) };

                // SAFETY: `Self` is nothing but what is initialized.
                unsafe { $crate::for_module::pin_init::cast_pin_init(init) }
            }
        }

        $crate::for_module::module! {
            type: SchedPolicyModule,
            name: $name,
            $(authors: $authors,)?
            $(description: $description,)?
            license: $license,
            // Of what the crate needs, so that no policy has to say it.
            imports_ns: ["SCHED_BPF"],
            crate: $crate::for_module,
            $(params: $params,)?
        }
    };
}
