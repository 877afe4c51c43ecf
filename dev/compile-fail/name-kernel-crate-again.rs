// SPDX-License-Identifier: GPL-2.0

//! Names the kernel crate by the name that a part of it has here.

// expect: can't find crate for `kernel`
// expect: the name `kernel` is defined multiple times
// expect: the trait bound `SchedPolicyModule: ModuleMetadata` is not satisfied

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
}

extern crate kernel;

struct Example;

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        Ok((Place::system(), Answers::new(cx, Flags::default(), Self)?))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(&self, _: &RqLocked<'_>, _: Task<'_>, _: Task<'_>) -> Wakeup {
        Wakeup::NoOpinion
    }
}
