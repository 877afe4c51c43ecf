// SPDX-License-Identifier: GPL-2.0

//! Sends a task to another thread.

// expect: cannot be sent between threads safely

include!("frame/stateless.rs");

fn send<T: Send>(_: T) {}

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
        send(wakee);

        Wakeup::NoOpinion
    }
}
