// SPDX-License-Identifier: GPL-2.0

//! Sends a task to another thread.

// expect: cannot be sent between threads safely

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
}

fn send<T: Send>(_: T) {}

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
        send(wakee);

        Wakeup::NoOpinion
    }
}
