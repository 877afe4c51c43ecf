// SPDX-License-Identifier: GPL-2.0

//! Keeps a task.

// expect: cannot be sent between threads safely
// expect: cannot be shared between threads safely

include!("frame/module.rs");

struct Example {
    last: Option<Task<'static>>,
}

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let policy = Self { last: None };

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
