// SPDX-License-Identifier: GPL-2.0

//! Names what the macros are made of by the name that it has elsewhere.

// expect: failed to resolve

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        let _ = ::kernel::ffi::c_int::MAX;

        Wakeup::NoOpinion
    }
}
