// SPDX-License-Identifier: GPL-2.0

//! Wants to have itself alone when it is asked.

// expect: method `check_preempt_wakeup` has an incompatible type for trait

include!("frame/module.rs");

struct Example {
    asked: u64,
}

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let policy = Self { asked: 0 };

        Ok((Place::system(), Answers::new(cx, Flags::default(), policy)?))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &mut self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        self.asked += 1;

        Wakeup::NoOpinion
    }
}
