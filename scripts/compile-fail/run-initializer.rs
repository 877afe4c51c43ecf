// SPDX-License-Identifier: GPL-2.0

//! Runs the initializer of the module again, to be in process context.

// expect: unresolved import `sched_bpf::for_module::pin_init::__internal`
// expect: type annotations needed

use sched_bpf::for_module::pin_init::__internal::StackInit;
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
        let mut slot = core::pin::pin!(StackInit::<Example>::uninit());
        let _ = (slot.as_mut(), wakee);

        Wakeup::NoOpinion
    }
}
