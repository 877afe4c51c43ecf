// SPDX-License-Identifier: GPL-2.0

//! Counts in a cell, which several CPUs cannot share.

// expect: `Cell<u64>` cannot be shared between threads safely

include!("frame/module.rs");

struct Example {
    asked: core::cell::Cell<u64>,
}

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let policy = Self {
            asked: core::cell::Cell::new(0),
        };

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
        self.asked.set(self.asked.get() + 1);

        Wakeup::NoOpinion
    }
}
