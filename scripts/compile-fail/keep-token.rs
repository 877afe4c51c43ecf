// SPDX-License-Identifier: GPL-2.0

//! Keeps the context token past the call.

// expect: lifetime may not live long enough

include!("frame/module.rs");

#[allow(dead_code)]
fn keep(cx: &RqLocked) -> &'static RqLocked {
    cx
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
