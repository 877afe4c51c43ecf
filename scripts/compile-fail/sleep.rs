// SPDX-License-Identifier: GPL-2.0

//! Sleeps when it is asked.

// expect: use of undeclared crate or module `kernel`

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
        kernel::time::delay::fsleep(kernel::time::Delta::from_micros(10));

        Wakeup::NoOpinion
    }
}
