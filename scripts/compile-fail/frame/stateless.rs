// SPDX-License-Identifier: GPL-2.0

// What a policy without state begins with.

include!("module.rs");

struct Example;

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        Ok((Place::system(), Answers::new(cx, Flags::default(), Self)?))
    }
}
