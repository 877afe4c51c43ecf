// SPDX-License-Identifier: GPL-2.0

//! Runs the initializer of the module again, to be in process context.

// expect: unresolved import `pin_init::__internal::StackInit`
// expect: type annotations needed

use pin_init::__internal::StackInit;
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
        let mut slot = core::pin::pin!(StackInit::<Example>::uninit());
        let _ = (slot.as_mut(), wakee);

        Wakeup::NoOpinion
    }
}
