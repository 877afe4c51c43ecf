// SPDX-License-Identifier: GPL-2.0

//! Allocates when it is asked, by the names that the prelude of the kernel crate has.

// expect: use of undeclared type `KBox`
// expect: cannot find value `GFP_ATOMIC` in this scope

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
        let pid = KBox::new(wakee.pid(), GFP_ATOMIC);

        Wakeup::NoOpinion
    }
}
