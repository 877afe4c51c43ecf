// SPDX-License-Identifier: GPL-2.0

//! Has unsafe code, which it forbids itself.

// expect: usage of an `unsafe` block

#![forbid(unsafe_code)]

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
        let ns = unsafe { core::mem::transmute::<VirtualTime, Nanos>(wakee.entity().vruntime()) };

        if ns < cx.now() {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }
}
