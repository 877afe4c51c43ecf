// SPDX-License-Identifier: GPL-2.0

//! Sends an entity to another thread.

// expect: cannot be sent between threads safely

include!("frame/stateless.rs");

fn send<T: Send>(_: T) {}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, curr: Entity<'_>, _: Nanos) -> Tick {
        send(curr);

        Tick::NoOpinion
    }
}
