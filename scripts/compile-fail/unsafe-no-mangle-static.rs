// SPDX-License-Identifier: GPL-2.0

//! Takes the place of a variable of the kernel, without the word "unsafe".

// expect: declaration of a `no_mangle` static

include!("frame/stateless.rs");

#[no_mangle]
static system_state: i32 = 0;

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }
}
