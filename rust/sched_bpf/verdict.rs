// SPDX-License-Identifier: GPL-2.0

//! Answers of a policy.
//!
//! C header: [`include/linux/bpf_sched.h`](srctree/include/linux/bpf_sched.h)

use kernel::{
    bindings,
    ffi::c_int,
    prelude::static_assert, //
};

/// The answer to a wakeup: may the wakee preempt the task that runs?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Wakeup {
    /// The fair class decides, or a policy that is asked after this one.
    #[default]
    NoOpinion = bindings::bpf_sched_verdict_BPF_SCHED_NO_OPINION,

    /// The wakee does not preempt now. It competes when the slice of the running task is used
    /// up, after `max_hold_ns` at the latest.
    NoPreempt = bindings::bpf_sched_verdict_BPF_SCHED_NO_PREEMPT,

    /// The wakee preempts, if it is eligible; overruled otherwise.
    Preempt = bindings::bpf_sched_verdict_BPF_SCHED_PREEMPT,
}

/// The answer to a tick: does the turn of the running task end?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Tick {
    /// The fair class decides, or a policy that is asked after this one.
    #[default]
    NoOpinion = bindings::bpf_sched_verdict_BPF_SCHED_NO_OPINION,

    /// It keeps running, for `max_hold_ns` at the most, and until the question is next answered
    /// otherwise.
    Keep = bindings::bpf_sched_verdict_BPF_SCHED_KEEP,

    /// Its request ends here, as if its slice were used up; overruled in the first 0.1 ms.
    Resched = bindings::bpf_sched_verdict_BPF_SCHED_RESCHED,
}

// Only the sign counts, and each verdict has one of its own.
static_assert!(Wakeup::NoOpinion as c_int == 0 && Tick::NoOpinion as c_int == 0);
static_assert!((Wakeup::NoPreempt as c_int) < 0 && (Tick::Keep as c_int) < 0);
static_assert!(Wakeup::Preempt as c_int > 0 && Tick::Resched as c_int > 0);

impl From<Wakeup> for c_int {
    #[inline]
    fn from(verdict: Wakeup) -> c_int {
        verdict as c_int
    }
}

impl From<Tick> for c_int {
    #[inline]
    fn from(verdict: Tick) -> c_int {
        verdict as c_int
    }
}
