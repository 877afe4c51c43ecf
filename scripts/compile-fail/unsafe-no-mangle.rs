// SPDX-License-Identifier: GPL-2.0

//! Takes the place of a function of the kernel, without the word "unsafe".

// expect: declaration of a `no_mangle` function

include!("frame/stateless.rs");

#[no_mangle]
extern "C" fn schedule() {}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }
}
