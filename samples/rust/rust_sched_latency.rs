// SPDX-License-Identifier: GPL-2.0

//! Lets tasks that run shortly preempt tasks that do not.
//!
//! The policy learns how long each task runs, on average, between two sleeps. One that runs for
//! `short_us` at the most makes requests of twice that, if these are shorter than those of others.
//! The fair class does the rest: a wakee with a shorter request preempts, and its deadline is
//! early. Nobody has to be told which task matters, and nobody gets more than its share of a CPU.
//!
//! So it does not help a task
//!
//! - that wants more than its share: it is not eligible when it wakes up, and no policy can change
//!   that. More weight can: a nice value below zero, or `cpu.weight` of its cgroup;
//! - whose requests, twice as long as it runs, are not shorter than the base slice;
//! - beside others that run as shortly, of which none is preferred;
//! - that has a slice of its own, which is not a matter of policies, or that has not slept yet.
//!
//! ```sh
//! modprobe rust_sched_latency short_us=500
//! bpftool sched show
//! echo 200 > /sys/module/rust_sched_latency/parameters/short_us
//! rmmod rust_sched_latency
//! ```

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Latency,
    name: "rust_sched_latency",
    authors: ["sched_bpf contributors"],
    description: "Let tasks that run shortly preempt others",
    license: "GPL",
    params: {
        short_us: u64 {
            default: 1_000,
            range: 1..=100_000,
            description: "How long a short run is, in microseconds, 1 to 100000",
        },
        shadow: bool {
            default: false,
            description: "Ask and count, but do not obey",
        },
    },
}

/// The shortest request that is granted.
const SHORTEST: Nanos = Nanos::from_micros(100);

/// What is known of a task, as of its last request.
#[derive(Default)]
struct Pattern {
    exec_time: Last,
    nr_sleeps: Last,
    /// How long it runs between two sleeps.
    run: Average,
}

/// A number that grows, as it was when it was looked at last.
struct Last(Atomic<u64>);

impl Default for Last {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Last {
    /// How much more it is than the last time.
    fn advance(&self, now: u64) -> u64 {
        now.saturating_sub(self.0.xchg(now, Relaxed))
    }

    /// As [`Last::advance`], but the last time remains that.
    fn since(&self, now: u64) -> u64 {
        now.saturating_sub(self.0.load(Relaxed))
    }
}

impl Pattern {
    /// Learns from the sleeps of `task` since its last request.
    fn learn(&self, cx: &RqLocked<'_>, task: Task<'_>) {
        let slept = self.nr_sleeps.advance(task.nr_sleeps() as u64);

        if slept > 0 {
            let ran = self
                .exec_time
                .advance(task.entity(cx).exec_time().as_nanos());
            self.run.add(Nanos::new(ran / slept));
        }
    }

    /// How long `task` runs between two sleeps, or has run since the last one if that is more: most
    /// who compute for good have slept once. [`None`] if nothing has been learned.
    fn run(&self, cx: &RqLocked<'_>, task: Task<'_>) -> Option<Nanos> {
        let runs = self.run.get()?;
        let ran = self.exec_time.since(task.entity(cx).exec_time().as_nanos());

        Some(runs.max(Nanos::new(ran)))
    }
}

struct Latency {
    patterns: TaskStorage<Pattern>,
    /// How often there was no memory for what is to be learned.
    forgotten: Counter,
}

impl Latency {
    /// Does `task` run shortly, as far as is known?
    fn is_short(&self, cx: &RqLocked<'_>, task: Task<'_>) -> bool {
        let pattern = self.patterns.get(cx, task);

        pattern
            .and_then(|pattern| pattern.run(cx, task))
            .is_some_and(is_short_run)
    }
}

/// Is `run` what the parameter calls short?
fn is_short_run(run: Nanos) -> bool {
    run <= Nanos::from_micros(module_parameters::short_us.value())
}

impl PolicyModule for Latency {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let policy = Self {
            patterns: TaskStorage::new(cx)?,
            forgotten: Counter::new(cx)?,
        };
        let flags = Flags::shadow(module_parameters::shadow.value());

        Ok((Place::system(), Answers::new(cx, flags, policy)?))
    }
}

#[vtable]
impl Policy for Latency {
    const NAME: &'static CStr = c"latency";

    /// A preemption that is lazy waits for the tick, if who runs makes no system call.
    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        curr: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        if self.is_short(cx, wakee) && !self.is_short(cx, curr) {
            Wakeup::PreemptNow
        } else {
            Wakeup::NoOpinion
        }
    }

    fn slice(&self, cx: &RqLocked<'_>, se: Entity<'_>, stock: Nanos) -> Option<Nanos> {
        let task = se.task()?;
        let Some(pattern) = self.patterns.get_or_default(cx, task) else {
            self.forgotten.add(cx, 1);
            return None;
        };
        pattern.learn(cx, task);
        let run = pattern.run(cx, task)?;
        let request = Nanos::new(run.as_nanos().saturating_mul(2)).max(SHORTEST);

        (is_short_run(run) && request < stock).then_some(request)
    }

    fn stats(&self, stats: &mut Stats<'_>) {
        stats.add(c"forgotten", self.forgotten.sum());
    }
}
