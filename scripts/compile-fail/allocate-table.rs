// SPDX-License-Identifier: GPL-2.0

//! Makes a table when it is asked.

// expect: mismatched types: expected `&Process<'_>`, found `&RqLocked<'_>`

include!("frame/stateless.rs");

#[derive(Default)]
struct Nothing;

impl TaskState for Nothing {
    fn reset(&self) {}
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        let table = TaskTable::<Nothing>::new(cx, 8);

        Wakeup::NoOpinion
    }
}
