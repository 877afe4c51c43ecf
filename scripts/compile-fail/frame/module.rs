// SPDX-License-Identifier: GPL-2.0

// A module with a policy, which the case implements.

include!("uses.rs");

module! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
    imports_ns: ["SCHED_BPF"],
}

#[pin_data]
struct Example {
    #[pin]
    policy: Registration<Self>,
}

impl kernel::InPlaceModule for Example {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self { policy <- Registration::register(Options::default()) })
    }
}
