// SPDX-License-Identifier: GPL-2.0

//! Compares how long a task has run with a point of virtual time.

// expect: mismatched types: expected `Nanos`, found `VirtualTime`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, curr: Entity<'_>, ran: Nanos) -> Tick {
        if ran < curr.deadline() {
            Tick::Keep
        } else {
            Tick::NoOpinion
        }
    }
}
