// SPDX-License-Identifier: GPL-2.0

//! Does not say which hooks it answers.

// expect: not all trait items implemented, missing: `USE_VTABLE_ATTR`

include!("frame/stateless.rs");

impl Policy for Example {
    const NAME: &'static CStr = c"example";

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
