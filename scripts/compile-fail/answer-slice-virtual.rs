// SPDX-License-Identifier: GPL-2.0

//! Answers with a span of virtual time, which is another one for each weight.

// expect: mismatched types: expected `Nanos`, found `VirtualDelta`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(&self, cx: &RqLocked<'_>, se: Entity<'_>, _: Nanos) -> Option<Nanos> {
        Some(se.lag(cx))
    }
}
