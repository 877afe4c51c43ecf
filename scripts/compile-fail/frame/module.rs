// SPDX-License-Identifier: GPL-2.0

// What each policy begins with.

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
}
