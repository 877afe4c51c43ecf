// SPDX-License-Identifier: GPL-2.0

//! Answers with a number, as a BPF program does.

// expect: mismatched types: expected `Wakeup`, found integer

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
        -1
    }
}
