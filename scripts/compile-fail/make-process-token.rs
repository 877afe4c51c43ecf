// SPDX-License-Identifier: GPL-2.0

//! Says that it may sleep when it is asked.

// expect: usage of an `unsafe` block
// expect: associated function `assume` is private

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        let cx = unsafe { Process::assume(c"example", &*core::ptr::null()) };

        Wakeup::NoOpinion
    }
}
