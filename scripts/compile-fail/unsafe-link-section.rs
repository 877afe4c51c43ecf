// SPDX-License-Identifier: GPL-2.0

//! Lets the kernel run a function when it boots.

// expect: declaration of a static with `link_section`

include!("frame/stateless.rs");

#[used]
#[link_section = ".initcall6.init"]
static MINE: [u32; 1] = [0];

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }
}
