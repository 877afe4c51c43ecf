// SPDX-License-Identifier: GPL-2.0

//! Orders points of virtual time, which wraps.

// expect: binary operation `<` cannot be applied to type `VirtualTime`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        curr: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        if wakee.entity(cx).deadline() < curr.entity(cx).deadline() {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }
}
