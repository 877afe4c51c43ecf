// SPDX-License-Identifier: GPL-2.0

//! Takes the place of a function of the kernel by an attribute.

// expect: declaration of a function with `export_name`

include!("frame/stateless.rs");

#[export_name = "schedule"]
extern "C" fn mine() {}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }
}
