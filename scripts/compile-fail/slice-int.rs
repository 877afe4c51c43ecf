// SPDX-License-Identifier: GPL-2.0

//! Returns a slice without a unit.

// expect: expected `Delta`, found integer

include!("frame/module.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        Some(3_000_000)
    }
}
