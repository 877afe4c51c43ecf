// SPDX-License-Identifier: GPL-2.0

//! Answers of a policy.
//!
//! C header: [`include/linux/bpf_sched.h`](srctree/include/linux/bpf_sched.h)

use super::Nanos;
use kernel::{
    bindings,
    cpu::CpuId,
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

    /// The wakeup changes nothing for the running task. The wakee competes at the next pick.
    NoPreempt = bindings::bpf_sched_verdict_BPF_SCHED_NO_PREEMPT,

    /// The wakee preempts, if it is eligible; overruled otherwise. A kernel with `PREEMPT_LAZY`
    /// waits for the tick or the return to user space.
    Preempt = bindings::bpf_sched_verdict_BPF_SCHED_PREEMPT,

    /// As [`Preempt`](Self::Preempt), but nothing is waited for.
    PreemptNow = bindings::bpf_sched_verdict_BPF_SCHED_PREEMPT_NOW,
}

/// The answer to a tick: does the request of the running task go on?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Tick {
    /// The fair class decides, or a policy that is asked after this one.
    #[default]
    NoOpinion = bindings::bpf_sched_verdict_BPF_SCHED_NO_OPINION,

    /// The request grows, for another tick, up to `max_slice_ns`; overruled there, and for a task
    /// that has a slice of its own.
    Keep = bindings::bpf_sched_verdict_BPF_SCHED_KEEP,

    /// The request ends here, as if it were used up; overruled in the first 0.1 ms.
    Resched = bindings::bpf_sched_verdict_BPF_SCHED_RESCHED,
}

/// The answer to the balancer: is it worth moving a task that waits?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Migrate {
    /// The fair class decides, or a policy that is asked after this one.
    #[default]
    NoOpinion = bindings::bpf_sched_verdict_BPF_SCHED_NO_OPINION,

    /// It stays, as if it were cache-hot; overruled once balancing has failed often enough.
    Stay = bindings::bpf_sched_verdict_BPF_SCHED_STAY,

    /// It moves, even if it is cache-hot.
    Migrate = bindings::bpf_sched_verdict_BPF_SCHED_MIGRATE,
}

// The sign of an answer decides, and each verdict has one of its own: `PreemptNow` is `Preempt`
// and more.
static_assert!(Wakeup::NoOpinion as c_int == 0 && Tick::NoOpinion as c_int == 0);
static_assert!((Wakeup::NoPreempt as c_int) < 0 && (Tick::Keep as c_int) < 0);
static_assert!(Wakeup::Preempt as c_int > 0 && Tick::Resched as c_int > 0);
static_assert!(Migrate::NoOpinion as c_int == 0);
static_assert!((Migrate::Stay as c_int) < 0 && Migrate::Migrate as c_int > 0);
static_assert!(Wakeup::PreemptNow as c_int > Wakeup::Preempt as c_int);

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

impl From<Migrate> for c_int {
    #[inline]
    fn from(verdict: Migrate) -> c_int {
        verdict as c_int
    }
}

/// The CPU of a task as C has it. There zero is no opinion.
#[inline]
pub(crate) fn cpu_to_c(cpu: Option<CpuId>) -> c_int {
    // The number of a CPU is below `nr_cpu_ids`, so that this fits.
    cpu.map_or(0, |cpu| {
        (bindings::bpf_sched_verdict_BPF_SCHED_CPU_0 as u32).wrapping_add(cpu.as_u32()) as c_int
    })
}

/// The size of a request as C has it. There zero is no opinion, and nothing is below it: no time
/// is the least that can be asked for, and what does not fit is the most.
#[inline]
pub(crate) fn slice_to_c(slice: Option<Nanos>) -> c_int {
    slice.map_or(0, |slice| {
        c_int::try_from(slice.as_nanos()).map_or(c_int::MAX, |ns| ns.max(1))
    })
}
