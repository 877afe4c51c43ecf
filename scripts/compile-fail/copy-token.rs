// SPDX-License-Identifier: GPL-2.0

//! Copies the context token.

// expect: cannot move out of `*cx` which is behind a shared reference

include!("frame/module.rs");

#[allow(dead_code)]
fn copy(cx: &RqLocked) -> RqLocked {
    *cx
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
