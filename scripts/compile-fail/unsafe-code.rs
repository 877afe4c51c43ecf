// SPDX-License-Identifier: GPL-2.0

//! Has unsafe code.

// expect: usage of an `unsafe` block

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        _: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        let ns = unsafe { core::mem::transmute::<VirtualTime, Nanos>(wakee.entity(cx).vruntime()) };

        if ns < Nanos::from_millis(1) {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }
}
