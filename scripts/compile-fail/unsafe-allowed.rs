// SPDX-License-Identifier: GPL-2.0

//! Allows itself unsafe code.

// expect: allow(unsafe_code) incompatible with previous forbid

include!("frame/stateless.rs");

#[allow(unsafe_code)]
mod mine {}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }
}
