// SPDX-License-Identifier: GPL-2.0

//! Registers a policy that may go before its registration.

// expect: lifetime bound not satisfied
// expect: cannot infer an appropriate lifetime

include!("frame/module.rs");

#[allow(dead_code)]
struct Borrows<'a>(&'a Cgroup);

#[vtable]
impl Policy for Borrows<'_> {
    const NAME: &'static CStr = c"borrows";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
