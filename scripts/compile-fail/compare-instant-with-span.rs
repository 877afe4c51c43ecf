// SPDX-License-Identifier: GPL-2.0

//! Compares a point in time with a span of time.

// expect: mismatched types

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, cx: &RqLocked<'_>, curr: Entity<'_>, _: Nanos) -> Tick {
        if cx.now() < curr.slice() {
            Tick::Keep
        } else {
            Tick::NoOpinion
        }
    }
}
