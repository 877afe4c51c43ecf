// SPDX-License-Identifier: GPL-2.0

//! Makes a token of the context of a question.

// expect: with struct literal syntax due to private fields

include!("frame/stateless.rs");

fn token() -> RqLocked<'static> {
    RqLocked {}
}

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
        Wakeup::NoOpinion
    }
}
