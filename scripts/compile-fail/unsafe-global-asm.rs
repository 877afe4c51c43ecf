// SPDX-License-Identifier: GPL-2.0

//! Calls a function of the kernel in assembly, outside of any function.

// expect: usage of `core::arch::global_asm`

include!("frame/stateless.rs");

core::arch::global_asm!(".pushsection .text", "call schedule", ".popsection");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }
}
