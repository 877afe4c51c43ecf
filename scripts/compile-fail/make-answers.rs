// SPDX-License-Identifier: GPL-2.0

//! Makes another policy when it is asked.

// expect: mismatched types: expected `&Process<'_>`, found `&RqLocked<'_>`

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
        let next = Answers::new(cx, Flags::default(), Example);

        Wakeup::NoOpinion
    }
}
