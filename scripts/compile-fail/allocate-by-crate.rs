// SPDX-License-Identifier: GPL-2.0

//! Has the allocating part of the standard library.

// expect: can't find crate for `alloc`

include!("frame/stateless.rs");

extern crate alloc;

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
