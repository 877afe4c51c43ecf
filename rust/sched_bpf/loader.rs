// SPDX-License-Identifier: GPL-2.0

//! Makes a kernel module of a policy.

use crate::{
    Answers,
    Place,
    Process,
    Registration, //
};
use kernel::{
    prelude::*,
    ModuleMetadata, //
};

/// A module that is a policy: attached when that is loaded, detached when it is unloaded.
pub trait PolicyModule {
    /// Makes the policy and says where it is attached.
    ///
    /// This is the place to check the parameters of the module and to allocate what the policy
    /// needs. An error is what loading the module fails with; say why by
    /// [`cx.error()`](Process::error).
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)>;
}

/// Loads the policy `T` of the module `M`.
///
/// # Safety
///
/// To be called by the initialization of a module.
#[doc(hidden)]
pub unsafe fn load<T, M>() -> Result<impl PinInit<Registration, Error>>
where
    T: PolicyModule,
    M: ModuleMetadata,
{
    // SAFETY: Modules are initialized in process context.
    let cx = unsafe { Process::assume(M::NAME) };
    let (place, answers) = T::load(&cx)?;

    Ok(Registration::new(&cx, place, answers))
}

/// Declares a kernel module that is a policy.
///
/// It is used as [`kernel::prelude::module!`] is, with a type that implements [`PolicyModule`].
/// The crate is to be built with `RUST_CRATES_<file>.o := sched_bpf` in its Makefile: then this
/// crate is all of the kernel that it can name.
#[macro_export]
macro_rules! module_sched_policy {
    (type: $type:ty, $($info:tt)*) => {
        // What is made of `module!` names these crates; here they are the parts that a policy
        // may see.
        extern crate sched_bpf as kernel;
        extern crate sched_bpf as pin_init;

        #[$crate::__pin_data]
        struct SchedPolicyModule {
            #[pin]
            registration: $crate::Registration,
        }

        impl $crate::InPlaceModule for SchedPolicyModule {
            fn init(
                _module: &'static $crate::ThisModule,
            ) -> impl $crate::PinInit<Self, $crate::error::Error> {
                $crate::__pin_init!(Self {
                    // SAFETY: This is the initialization of a module.
                    registration <- unsafe { $crate::__load::<$type, Self>() }?,
                }? $crate::error::Error)
            }
        }

        $crate::__module! {
            type: SchedPolicyModule,
            $($info)*
        }

        // `imports_ns` of `module!`, so that no policy has to say it.
        const _: () = {
            #[cfg(MODULE)]
            #[link_section = ".modinfo"]
            #[used]
            static IMPORT_NS: [u8; 20] = *b"import_ns=SCHED_BPF\0";
        };
    };
}
