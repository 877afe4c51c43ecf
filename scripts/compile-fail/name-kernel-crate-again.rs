// SPDX-License-Identifier: GPL-2.0

//! Names the kernel crate by the name that a part of it has here.

// expect: can't find crate for `kernel`
// expect: the name `kernel` is defined multiple times
// expect: the trait bound `SchedPolicyModule: ModuleMetadata` is not satisfied

include!("frame/stateless.rs");

extern crate kernel;

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
        Wakeup::NoOpinion
    }
}
