// SPDX-License-Identifier: GPL-2.0

//! Makes a table when it is asked.

// expect: mismatched types: expected `&Process<'_>`, found `&RqLocked<'_>`

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
}

#[derive(Default)]
struct Nothing;

impl TaskState for Nothing {
    fn reset(&self) {}
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

    fn check_preempt_wakeup(&self, cx: &RqLocked<'_>, _: Task<'_>, _: Task<'_>) -> Wakeup {
        let table = TaskTable::<Nothing>::new(cx, 8);

        Wakeup::NoOpinion
    }
}
