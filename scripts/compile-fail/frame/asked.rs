// SPDX-License-Identifier: GPL-2.0

// What code begins with that is part of a policy, and needs none of its callbacks: most
// examples of the documentation.

include!("stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Option<Nanos> {
        None
    }
}
