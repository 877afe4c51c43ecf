// SPDX-License-Identifier: GPL-2.0

//! Keeps state of tasks that has to be dropped.

// expect: state of tasks is not dropped

include!("frame/module.rs");

#[allow(dead_code)]
static STATES: TaskStorage<Option<KBox<u64>>> = TaskStorage::new();

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
