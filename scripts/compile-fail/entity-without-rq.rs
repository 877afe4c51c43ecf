// SPDX-License-Identifier: GPL-2.0

// No rq is locked where a CPU is selected, so what an rq protects cannot be read.
// expect: error[E0308]: mismatched types

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn select_cpu(
        &self,
        cx: &PiLocked<'_>,
        p: Task<'_>,
        prev: CpuId,
        _: WakeFlags,
        _: CpuId,
    ) -> Option<CpuId> {
        (p.entity(cx).slice() > Nanos::ZERO).then_some(prev)
    }
}
