// SPDX-License-Identifier: GPL-2.0

//! Counts in a variable of the module, without the word unsafe.

// expect: use of mutable static is unsafe and requires unsafe

include!("frame/stateless.rs");

static mut ASKED: u64 = 0;

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
        ASKED += 1;

        Wakeup::NoOpinion
    }
}
