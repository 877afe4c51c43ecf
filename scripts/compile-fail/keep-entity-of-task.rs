// SPDX-License-Identifier: GPL-2.0

//! Gives the entity of a task to one that may have it after the question.

// expect: borrowed data escapes outside of method

include!("frame/stateless.rs");

fn later(_: Entity<'static>) {}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        _: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        later(wakee.entity(cx));

        Wakeup::NoOpinion
    }
}
