// SPDX-License-Identifier: GPL-2.0

//! Returns the result of another hook.

// expect: expected `Tick`, found `Wakeup`

include!("frame/module.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(_: &RqLocked, _: &Entity, _: Delta) -> Wakeup {
        Wakeup::NoPreempt
    }
}
