// SPDX-License-Identifier: GPL-2.0

//! Makes a storage of task state when it is asked.

// expect: mismatched types: expected `&Process<'_>`, found `&RqLocked<'_>`

include!("frame/stateless.rs");

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
        let storage = TaskStorage::<Average>::new(cx);

        Wakeup::NoOpinion
    }
}
