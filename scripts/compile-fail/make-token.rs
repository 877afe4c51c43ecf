// SPDX-License-Identifier: GPL-2.0

//! Makes a context token.

// expect: cannot initialize a tuple struct which contains private fields

include!("frame/module.rs");

#[allow(dead_code)]
fn slice_of(task: &Task) -> Delta {
    RqLocked(kernel::types::NotThreadSafe).entity(task).slice()
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
