// SPDX-License-Identifier: GPL-2.0

//! Answers a wakeup as if it were a tick.

// expect: mismatched types: expected `Wakeup`, found `Tick`

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
        Tick::Keep
    }
}
