// SPDX-License-Identifier: GPL-2.0

//! Lets tasks that run shortly preempt tasks that do not.
//!
//! At each wakeup the policy learns how long the wakee has run, on average, between two sleeps,
//! and which part of the time it runs. A wakee that runs for `short_us` at the most, and less than
//! half of the time, preempts a task of which that is not so. Nobody has to be told which task
//! matters: one that computes is not interrupted more often than such wakees come.
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

/// What is known of a task, as of its last wakeup that was asked about. Times are in nanoseconds.
#[derive(Default)]
struct Pattern {
    woken_at: Counter,
    exec_time: Counter,
    nr_sleeps: Counter,
    /// Averages; `period` is zero if nothing is known.
    run: Counter,
    period: Counter,
}

/// A number that several CPUs may change; the last one wins.
struct Counter(Atomic<u64>);

impl Default for Counter {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Counter {
    fn get(&self) -> Nanos {
        Nanos::new(self.0.load(Relaxed))
    }

    fn set(&self, to: Nanos) {
        self.0.store(to.as_nanos(), Relaxed);
    }

    fn replace(&self, to: Nanos) -> Nanos {
        Nanos::new(self.0.xchg(to.as_nanos(), Relaxed))
    }
}

impl TaskState for Pattern {
    fn reset(&self) {
        for counter in [
            &self.woken_at,
            &self.exec_time,
            &self.nr_sleeps,
            &self.run,
            &self.period,
        ] {
            counter.set(Nanos::ZERO);
        }
    }
}

impl Pattern {
    /// Learns from a wakeup of `task`. Wakeups on idle CPUs are nobody's question, so it may have
    /// slept several times since the last one; and a question need not follow a sleep.
    fn learn(&self, cx: &RqLocked<'_>, task: Task<'_>) {
        let now = cx.now();
        let exec_time = task.entity().exec_time();
        let nr_sleeps = Nanos::new(task.nr_sleeps() as u64);

        let slept = (nr_sleeps - self.nr_sleeps.get()).as_nanos();
        if slept == 0 {
            return;
        }
        self.nr_sleeps.set(nr_sleeps);
        let ran = exec_time - self.exec_time.replace(exec_time);
        let last = match self.woken_at.replace(now) {
            // Nothing is known: all of its life.
            Nanos::ZERO => task.start_time(),
            last => last,
        };

        let run = Nanos::new(ran.as_nanos() / slept);
        let period = Nanos::new((now - last).as_nanos() / slept);
        if self.period.get() == Nanos::ZERO {
            self.run.set(run);
            self.period.set(period);
        } else {
            self.run.set(self.run.get().average(run));
            self.period.set(self.period.get().average(period));
        }
    }

    fn is_short(&self, short: Nanos) -> bool {
        let (run, period) = (self.run.get(), self.period.get());

        period != Nanos::ZERO && run <= short && run < period - run
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

    fn check_preempt_wakeup(&self, cx: &RqLocked<'_>, curr: Task<'_>, wakee: Task<'_>) -> Wakeup {
        let Some(pattern) = self.patterns.get(cx, wakee) else {
            return Wakeup::NoOpinion;
        };
        pattern.learn(cx, wakee);

        let curr_is_short = self
            .patterns
            .get(cx, curr)
            .is_some_and(|pattern| pattern.is_short(self.short));

        if pattern.is_short(self.short) && !curr_is_short {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }
}
