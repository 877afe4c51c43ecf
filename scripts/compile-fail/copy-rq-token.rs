// SPDX-License-Identifier: GPL-2.0

//! Copies the token, to have it after the question.

// expect: no method named `clone` found

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
        let cx = (*cx).clone();

        Wakeup::NoOpinion
    }
}
