// SPDX-License-Identifier: GPL-2.0

// What an example of the documentation begins with that is no whole module.

include!("stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Option<Nanos> {
        None
    }
}
