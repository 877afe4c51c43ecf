// SPDX-License-Identifier: GPL-2.0

//! Gives the entity of a task to one that may have it after the question.

// expect: borrowed data escapes outside of method

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
}

fn later(_: Entity<'static>) {}

struct Example;

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        Ok((Place::system(), Answers::new(cx, Flags::default(), Self)?))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(&self, _: &RqLocked<'_>, _: Task<'_>, wakee: Task<'_>) -> Wakeup {
        later(wakee.entity());

        Wakeup::NoOpinion
    }
}
