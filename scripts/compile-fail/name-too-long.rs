// SPDX-License-Identifier: GPL-2.0

//! Has a name of 16 characters.

// expect: the name of a policy is too long

include!("frame/module.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"sixteen_letters_";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
