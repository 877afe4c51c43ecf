// SPDX-License-Identifier: GPL-2.0

//! Makes an error of any number, which the kernel's type prints if it is none.

// expect: no function or associated item named `from_errno`

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
        let _ = Error::from_errno(wakee.pid());

        Wakeup::NoOpinion
    }
}
