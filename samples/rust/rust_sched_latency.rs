// SPDX-License-Identifier: GPL-2.0

//! Lets tasks that run shortly preempt tasks that do not.
//!
//! The policy learns how long each task runs, on average, between two sleeps. One that runs for
//! `short_us` at the most makes requests of twice that, if these are shorter than those of others.
//! The fair class does the rest: a wakee with a shorter request preempts, and its deadline is
//! early. Nobody has to be told which task matters, and nobody gets more than its share of a CPU.
//!
//! ```sh
//! modprobe rust_sched_latency short_us=500
//! bpftool sched show
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
            description: "How long a short run is, in microseconds, 1 to 100000",
        },
        tasks: usize {
            default: 4_096,
            description: "How many tasks to remember, 1 to 1048576",
        },
        shadow: bool {
            default: false,
            description: "Ask and count, but do not obey",
        },
    },
}

/// The shortest request that is granted.
const SHORTEST: Nanos = Nanos::from_micros(100);

/// What is known of a task, as of its last request. Several CPUs may change it; the last one wins.
struct Pattern {
    exec_time: Atomic<u64>,
    /// Zero if nothing is known.
    nr_sleeps: Atomic<u64>,
    /// How long it runs between two sleeps, in nanoseconds.
    run: Atomic<u64>,
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            exec_time: Atomic::new(0),
            nr_sleeps: Atomic::new(0),
            run: Atomic::new(0),
        }
    }
}

impl TaskState for Pattern {
    fn reset(&self) {
        for number in [&self.exec_time, &self.nr_sleeps, &self.run] {
            number.store(0, Relaxed);
        }
    }
}

impl Pattern {
    /// How long `task` runs between two sleeps, with what is to be learned of those since its last
    /// request; [`None`] if it has never slept.
    fn learn(&self, task: Task<'_>) -> Option<Nanos> {
        let exec_time = task.entity().exec_time().as_nanos();
        let nr_sleeps = task.nr_sleeps() as u64;

        let before = self.nr_sleeps.load(Relaxed);
        let mut run = Nanos::new(self.run.load(Relaxed));
        let slept = nr_sleeps.saturating_sub(before);
        if slept == 0 {
            return (before != 0).then_some(run);
        }
        self.nr_sleeps.store(nr_sleeps, Relaxed);
        let ran = exec_time.saturating_sub(self.exec_time.xchg(exec_time, Relaxed));

        let sample = Nanos::new(ran / slept);
        run = match before {
            0 => sample,
            _ => run.average(sample),
        };
        self.run.store(run.as_nanos(), Relaxed);
        Some(run)
    }
}

struct Latency {
    short: Nanos,
    patterns: TaskTable<Pattern>,
}

impl PolicyModule for Latency {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let short_us = module_parameters::short_us.value();
        let tasks = module_parameters::tasks.value();

        if !(1..=100_000).contains(&short_us) {
            cx.error(fmt!("short_us={short_us}: not in 1 to 100000\n"));
            return Err(ERANGE);
        }
        if !(1..=TaskTable::<Pattern>::MAX_TASKS).contains(&tasks) {
            cx.error(fmt!("tasks={tasks}: not in 1 to 1048576\n"));
            return Err(ERANGE);
        }

        let policy = Self {
            short: Nanos::from_micros(short_us),
            patterns: TaskTable::new(cx, tasks)?,
        };
        let flags = Flags::shadow(module_parameters::shadow.value());

        Ok((Place::system(), Answers::new(cx, flags, policy)?))
    }
}

#[vtable]
impl Policy for Latency {
    const NAME: &'static CStr = c"latency";

    fn slice(&self, cx: &RqLocked<'_>, se: Entity<'_>, stock: Nanos) -> Option<Nanos> {
        let task = se.task()?;
        let run = self.patterns.get(cx, task)?.learn(task)?;
        let request = Nanos::new(run.as_nanos().saturating_mul(2)).max(SHORTEST);

        (run <= self.short && request < stock).then_some(request)
    }
}
