// SPDX-License-Identifier: GPL-2.0

//! Orders points of virtual time, which wraps.

// expect: binary operation `<` cannot be applied to type `VirtualTime`

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
}

struct Example;

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        Ok((Place::system(), Answers::new(cx, Flags::default(), Self)?))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(&self, _: &RqLocked<'_>, curr: Task<'_>, wakee: Task<'_>) -> Wakeup {
        if wakee.entity().deadline() < curr.entity().deadline() {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }
}
