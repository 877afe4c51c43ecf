// SPDX-License-Identifier: GPL-2.0

//! Keeps a task past the call.

// expect: borrowed data escapes outside of associated function

include!("frame/module.rs");

static LAST: SetOnce<&'static Task> = SetOnce::new();

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(_: &RqLocked, curr: &Task, _: &Task, _: WakeFlags) -> Wakeup {
        LAST.populate(curr);
        Wakeup::Pass
    }
}
