// SPDX-License-Identifier: GPL-2.0

//! Prints when it is asked.

// expect: failed to resolve: could not find `pr_info` in `kernel`

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
        kernel::pr_info!("asked about {}\n", wakee.pid());

        Wakeup::NoOpinion
    }
}
