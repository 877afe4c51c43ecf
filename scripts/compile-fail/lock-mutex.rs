// SPDX-License-Identifier: GPL-2.0

//! Keeps what it learns under a mutex.

// expect: cannot find type `Mutex` in module `sched_bpf::sync`

include!("frame/stateless.rs");

struct Known {
    pid: sched_bpf::sync::Mutex<i32>,
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        Wakeup::NoOpinion
    }
}
