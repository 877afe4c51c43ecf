// SPDX-License-Identifier: GPL-2.0

//! Declares a function of the kernel as safe.

// expect: usage of an `unsafe extern` block

include!("frame/stateless.rs");

unsafe extern "C" {
    pub safe fn schedule();
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }
}
