// SPDX-License-Identifier: GPL-2.0

//! Moves a registration.

// expect: cannot be unpinned

include!("frame/module.rs");

#[allow(dead_code)]
fn swap(one: Pin<&mut Registration<Example>>, two: Pin<&mut Registration<Example>>) {
    core::mem::swap(one.get_mut(), two.get_mut());
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
