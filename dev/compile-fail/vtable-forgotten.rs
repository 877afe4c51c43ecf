// SPDX-License-Identifier: GPL-2.0

//! Does not say which hooks it answers.

// expect: not all trait items implemented, missing: `USE_VTABLE_ATTR`

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

impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(&self, _: &RqLocked<'_>, _: Task<'_>, _: Task<'_>) -> Wakeup {
        Wakeup::NoOpinion
    }
}
