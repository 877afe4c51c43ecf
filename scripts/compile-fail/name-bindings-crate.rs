// SPDX-License-Identifier: GPL-2.0

//! Names the functions of C.

// expect: can't find crate for `bindings`

include!("frame/stateless.rs");

extern crate bindings as c;

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
        Wakeup::NoOpinion
    }
}
