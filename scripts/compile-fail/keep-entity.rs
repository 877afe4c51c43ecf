// SPDX-License-Identifier: GPL-2.0

//! Keeps an entity past the call.

// expect: lifetime may not live long enough

include!("frame/module.rs");

struct Last(Option<&'static Entity>);

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, se: &Entity, _: Delta) -> Option<Delta> {
        let last = Last(Some(se));

        last.0?.task().map(|_| Delta::from_millis(1))
    }
}
