// SPDX-License-Identifier: GPL-2.0

//! Takes messages when it is asked, as if it were its own work.

// expect: mismatched types: expected `&Process<'_>`, found `&RqLocked<'_>`

include!("frame/stateless.rs");

static MAIL: Mailbox<8> = Mailbox::new();

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, cx: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        while MAIL.take(cx).is_some() {}
        Tick::NoOpinion
    }
}
