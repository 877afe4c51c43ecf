// SPDX-License-Identifier: GPL-2.0

//! Calls a function of C that is not one of those that macros need.

// expect: usage of an `unsafe` block
// expect: cannot find function `yield_` in module `sched_bpf::for_module::bindings`

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
        unsafe { sched_bpf::for_module::bindings::yield_() };

        Wakeup::NoOpinion
    }
}
