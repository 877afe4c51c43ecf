// SPDX-License-Identifier: GPL-2.0

//! Gives the token to one that may have it longer.

// expect: borrowed data escapes outside of method

include!("frame/stateless.rs");

fn later(_: &'static RqLocked<'static>) {}

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
        later(cx);

        Wakeup::NoOpinion
    }
}
