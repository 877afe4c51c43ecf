// SPDX-License-Identifier: GPL-2.0

//! Prints when it is asked, as it may when it is loaded.

// expect: no method named `error` found

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
        cx.error(fmt!("asked\n"));

        Wakeup::NoOpinion
    }
}
