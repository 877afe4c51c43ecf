// SPDX-License-Identifier: GPL-2.0

//! Keeps more than 1 KiB of a task.

// expect: state of tasks has 1 byte to 1 KiB

include!("frame/module.rs");

#[allow(dead_code)]
static STATES: TaskStorage<[u64; 129]> = TaskStorage::new();

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
