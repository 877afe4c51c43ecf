// SPDX-License-Identifier: GPL-2.0

//! Keeps state of tasks that CPUs cannot share.

// expect: cannot be shared between threads safely

include!("frame/module.rs");

#[allow(dead_code)]
static STATES: TaskStorage<core::cell::UnsafeCell<u64>> = TaskStorage::new();

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
