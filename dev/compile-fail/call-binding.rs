// SPDX-License-Identifier: GPL-2.0

//! Calls a function of C that is not one of those that macros need.

// expect: cannot find function `yield_` in module `kernel::bindings`

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

    fn check_preempt_wakeup(&self, _: &RqLocked<'_>, _: Task<'_>, _: Task<'_>) -> Wakeup {
        unsafe { kernel::bindings::yield_() };

        Wakeup::NoOpinion
    }
}
