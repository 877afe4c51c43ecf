// SPDX-License-Identifier: GPL-2.0

//! Makes an error of any number, which the kernel's type prints if it is none.

// expect: no function or associated item named `from_errno`

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
        let _ = Error::from_errno(wakee.pid());

        Wakeup::NoOpinion
    }
}
