// SPDX-License-Identifier: GPL-2.0

//! Has a parameter whose default is not in its range.

// expect: the default of a parameter is not in its range
// expect: could not evaluate static initializer

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
    params: {
        percent: u32 {
            default: 101,
            range: 0..=100,
            description: "A part of a hundred",
        },
    },
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

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        match module_parameters::percent.value() {
            0 => Tick::NoOpinion,
            _ => Tick::Keep,
        }
    }
}
