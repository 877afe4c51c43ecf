// SPDX-License-Identifier: GPL-2.0

//! Sends an entity to another thread.

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

    fn check_preempt_tick(&self, _: &RqLocked<'_>, curr: Entity<'_>, _: Nanos) -> Tick {
        send(curr);

        Tick::NoOpinion
    }
}
