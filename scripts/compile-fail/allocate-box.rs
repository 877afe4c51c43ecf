// SPDX-License-Identifier: GPL-2.0

//! Allocates when it is asked.

// expect: use of undeclared crate or module `kernel`

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
        let pid = kernel::alloc::KBox::new(wakee.pid(), kernel::alloc::flags::GFP_ATOMIC);

        Wakeup::NoOpinion
    }
}
