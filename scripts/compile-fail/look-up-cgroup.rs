// SPDX-License-Identifier: GPL-2.0

//! Looks for a cgroup when it is asked.

// expect: mismatched types: expected `&Process<'_>`, found `&RqLocked<'_>`

include!("frame/stateless.rs");

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        _: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        let Ok(cgroup) = Cgroup::from_path(cx, c"/example.slice") else {
            return Wakeup::NoOpinion;
        };

        if wakee.is_in(&cgroup) {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }
}
