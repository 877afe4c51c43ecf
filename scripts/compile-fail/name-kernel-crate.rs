// SPDX-License-Identifier: GPL-2.0

//! Names the kernel crate, of which this is not a part.

// expect: can't find crate for `kernel`

include!("frame/stateless.rs");

extern crate kernel as all_of_it;

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
