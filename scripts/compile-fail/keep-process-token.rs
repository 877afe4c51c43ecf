// SPDX-License-Identifier: GPL-2.0

//! Keeps the token that it may sleep by.

// expect: cannot be shared between threads safely
// expect: lifetime may not live long enough

include!("frame/module.rs");

struct Example {
    cx: &'static Process<'static>,
}

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let policy = Self { cx };

        Ok((Place::system(), Answers::new(cx, Flags::default(), policy)?))
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
