// SPDX-License-Identifier: GPL-2.0

//! Gives the token to one that may have it longer.

// expect: borrowed data escapes outside of method

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
}

fn later(_: &'static RqLocked<'static>) {}

struct Example;

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        Ok((Place::system(), Answers::new(cx, Flags::default(), Self)?))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(&self, cx: &RqLocked<'_>, _: Task<'_>, _: Task<'_>) -> Wakeup {
        later(cx);

        Wakeup::NoOpinion
    }
}
