// SPDX-License-Identifier: GPL-2.0

//! Gives tasks that run briefly a short slice, so that EEVDF serves them soon. It is twice the
//! average run between two sleeps, if that is less than the base slice.

use kernel::{
    prelude::*,
    sync::{atomic::Atomic, atomic::Relaxed, rcu},
    time::Delta, //
};
use sched_bpf::{Allocation, Entity, Options, Policy, Registration, RqLocked, TaskStorage, Wakeup};

module! {
    type: Latency,
    name: "rust_sched_latency",
    authors: ["sched_bpf contributors"],
    description: "Short slices for tasks that run briefly",
    license: "GPL",
    imports_ns: ["SCHED_BPF"],
}

/// What is known of a task, in nanoseconds of execution. Only written with its rq locked.
#[derive(Zeroable)]
struct Pattern {
    woken_at: Atomic<i64>,
    average_run: Atomic<i64>,
}
static PATTERNS: TaskStorage<Pattern> = TaskStorage::new();

/// Returns how long a task runs between two sleeps. If it is `woken`, a run has ended.
fn run(se: &Entity, woken: bool) -> Option<i64> {
    let rcu = rcu::read_lock();
    let pattern = PATTERNS.get_or_zeroed(se.task()?, &rcu)?;
    let now = se.sum_exec_runtime().as_nanos();
    let ran = now.saturating_sub(pattern.woken_at.load(Relaxed));
    let mut run = pattern.average_run.load(Relaxed);

    if woken && ran > 0 {
        run = run.saturating_add(ran.saturating_sub(run) / 4);
        pattern.average_run.store(run, Relaxed);
        pattern.woken_at.store(now, Relaxed);
    }
    Some(if woken { run } else { run.max(ran) })
}

#[vtable]
impl Policy for Latency {
    const NAME: &'static CStr = c"latency";

    fn slice(_: &RqLocked, se: &Entity, default: Delta) -> Option<Delta> {
        let slice = Delta::from_nanos(run(se, !se.on_rq())?.saturating_mul(2));

        (!slice.is_zero() && slice < default).then_some(slice)
    }

    /// A lazy preemption would wait for the tick if the current task makes no system call.
    fn wakeup_preempt_entity(_: &RqLocked, curr: &Entity, wakee: &Entity) -> Wakeup {
        run(wakee, true); // Not all wakeups start a slice.
        if wakee.slice() < curr.slice() {
            return Wakeup::PreemptNow;
        }
        Wakeup::Pass
    }
}

#[pin_data]
struct Latency {
    #[pin]
    policy: Registration<Self>,
    patterns: Allocation<Pattern>,
}

impl kernel::InPlaceModule for Latency {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            patterns: PATTERNS.alloc()?,
            policy <- Registration::register(Options::default()),
        })
    }
}
