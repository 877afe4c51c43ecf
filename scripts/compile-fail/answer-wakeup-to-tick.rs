// SPDX-License-Identifier: GPL-2.0

//! Answers a tick as if it were a wakeup.

// expect: mismatched types: expected `Tick`, found `Wakeup`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Wakeup::NoPreempt
    }
}
