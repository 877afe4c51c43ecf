// SPDX-License-Identifier: GPL-2.0

//! Prints when it is asked.

// expect: failed to resolve: could not find `pr_info` in `kernel`

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

    fn check_preempt_wakeup(&self, _: &RqLocked<'_>, _: Task<'_>, wakee: Task<'_>) -> Wakeup {
        kernel::pr_info!("asked about {}\n", wakee.pid());

        Wakeup::NoOpinion
    }
}
