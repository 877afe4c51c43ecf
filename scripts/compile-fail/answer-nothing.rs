// SPDX-License-Identifier: GPL-2.0

//! Forgets to answer.

// expect: mismatched types: expected `Wakeup`, found `()`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        wakee.pid();
    }
}
