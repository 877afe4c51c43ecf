// SPDX-License-Identifier: GPL-2.0

//! Keeps state of tasks that cannot begin as zeroes.

// expect: the trait bound `&u64: Zeroable` is not satisfied

include!("frame/module.rs");

#[allow(dead_code)]
static STATES: TaskStorage<&'static u64> = TaskStorage::new();

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
