// SPDX-License-Identifier: GPL-2.0

//! Prints when it is asked.

// expect: failed to resolve: could not find `pr_info` in `sched_bpf`

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
        sched_bpf::pr_info!("asked about {}\n", wakee.pid());

        Wakeup::NoOpinion
    }
}
