// SPDX-License-Identifier: GPL-2.0

//! Gives the token that it may sleep by to one that has it longer.

// expect: borrowed data escapes outside of associated function

include!("frame/module.rs");

fn later(_: &'static Process<'static>) {}

struct Example;

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        later(cx);

        Ok((Place::system(), Answers::new(cx, Flags::default(), Self)?))
    }
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
