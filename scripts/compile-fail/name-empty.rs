// SPDX-License-Identifier: GPL-2.0

//! Has an empty name.

// expect: the name of a policy is empty

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"";

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        Wakeup::NoOpinion
    }
}
