// SPDX-License-Identifier: GPL-2.0

//! Answers a hook that there is not.

// expect: method `check_preempt_wake` is not a member of trait `Policy`
// expect: const `HAS_CHECK_PREEMPT_WAKE` is not a member of trait `Policy`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wake(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        Wakeup::NoOpinion
    }
}
