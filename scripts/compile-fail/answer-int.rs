// SPDX-License-Identifier: GPL-2.0

//! Answers with a number, as a BPF program does.

// expect: mismatched types: expected `Wakeup`, found integer

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
        -1
    }
}
