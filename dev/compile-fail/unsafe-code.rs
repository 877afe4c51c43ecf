// SPDX-License-Identifier: GPL-2.0

//! Has unsafe code, which it forbids itself.

// expect: usage of an `unsafe` block

#![forbid(unsafe_code)]

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

    fn check_preempt_wakeup(&self, cx: &RqLocked<'_>, _: Task<'_>, wakee: Task<'_>) -> Wakeup {
        let ns = unsafe { core::mem::transmute::<VirtualTime, Nanos>(wakee.entity().vruntime()) };

        if ns < cx.now() {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }
}
