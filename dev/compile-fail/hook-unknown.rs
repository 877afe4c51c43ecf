// SPDX-License-Identifier: GPL-2.0

//! Answers a hook that there is not.

// expect: method `check_preempt_wake` is not a member of trait `Policy`
// expect: const `HAS_CHECK_PREEMPT_WAKE` is not a member of trait `Policy`

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

    fn check_preempt_wake(&self, _: &RqLocked<'_>, _: Task<'_>, _: Task<'_>) -> Wakeup {
        Wakeup::NoOpinion
    }
}
