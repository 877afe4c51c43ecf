// SPDX-License-Identifier: GPL-2.0

//! Answers with a length, where it may have no opinion.

// expect: mismatched types: expected `Option<Nanos>`, found `Nanos`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(&self, _: &RqLocked<'_>, _: Entity<'_>, stock: Nanos) -> Option<Nanos> {
        stock
    }
}
