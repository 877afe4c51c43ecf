// SPDX-License-Identifier: GPL-2.0

//! Keeps a string parameter, which is freed before the static data of the module.

// expect: lifetime may not live long enough

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
    params: {
        path: str {
            default: c"",
            description: "A path",
        },
    },
}

fn kept() -> &'static CStr {
    module_parameters::path.with(|path| path)
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

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        let _ = (kept(), wakee);

        Wakeup::NoOpinion
    }
}
