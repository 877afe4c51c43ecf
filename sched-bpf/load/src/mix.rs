// SPDX-License-Identifier: GPL-2.0

//! Many tasks in many cgroups on one CPU, each of which is interactive for some time and
//! computes for some, in turns of its own: nobody knows which does what now.
//!
//! Shape, fixed before anything was measured: lengths of turns and pauses are exponential; a
//! task is interactive for a second on average and computes for 50 ms, so that of 120 some 5
//! compute at a time; interactive, it is due every 50 ms and takes 0.2 ms.

use std::env;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::apart::When;
use crate::arrivals::exponential;
use crate::cgroup::{self, Groups};
use crate::child::Child;
use crate::cli::MixArgs;
use crate::cpu;
use crate::interrupt;
use crate::pieces;
use crate::seen::{Invocation, Seen};
use crate::setattr;

/// Mean of an interactive turn, in nanoseconds.
const INTERACTIVE_NS: f64 = 1e9;

/// Mean of a computing turn, in nanoseconds.
const COMPUTING_NS: f64 = 50e6;

/// Mean time between two times when an interactive task is due, in nanoseconds.
const PAUSE_NS: f64 = 50e6;

/// CPU time that an interactive task takes then, in nanoseconds.
const SHORT_NS: u64 = 200_000;

/// The turns of a task.
struct Turns {
    rng: Rng,
    /// Does it compute in this one?
    computes: bool,
    /// When this one ends, if nothing holds it up
    ends_ns: f64,
}

impl Turns {
    /// Before the first of them.
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);

        Self {
            computes: rng.f64() < INTERACTIVE_NS / (INTERACTIVE_NS + COMPUTING_NS),
            ends_ns: 0.0,
            rng,
        }
    }

    /// When the task is due in an interactive turn, after `ns`; in nanoseconds as all times.
    fn due_after(&mut self, ns: f64) -> f64 {
        ns + exponential(&mut self.rng, PAUSE_NS)
    }

    /// Begins the next turn; returns when. One that follows computing begins when that has
    /// ended, as its last piece may have been held up: who still computes cannot be due, and
    /// that would be no wait for a wakeup.
    fn begin(&mut self, now_ns: u64) -> f64 {
        let (begin_ns, mean_ns) = if self.computes {
            (self.ends_ns.max(now_ns as f64), INTERACTIVE_NS)
        } else {
            (self.ends_ns, COMPUTING_NS)
        };

        self.computes = !self.computes;
        self.ends_ns = begin_ns + exponential(&mut self.rng, mean_ns);
        begin_ns
    }
}

/// A task, by turns one and the other; returns what became of its turns.
fn task(args: &MixArgs, seed: u64, rounds_per_s: u64) -> Result<Seen> {
    let mut turns = Turns::new(seed);
    let mut seen = Seen::default();

    cpu::pin(args.compared.cpu)?;
    setattr::own_slice(args.compared.slice_us)?;
    let when = When {
        begin: Instant::now(),
        time: Duration::from_secs(args.compared.seconds),
        rounds_per_s,
    };
    let end_ns = when.time.as_nanos() as u64;

    while !when.is_over() {
        let mut due_ns = turns.begin(when.now_ns());
        let until_ns = (turns.ends_ns as u64).min(end_ns);
        if turns.computes {
            let until = Duration::from_nanos(until_ns);
            let mut pieces = pieces::compute_until(when.begin, until, rounds_per_s);
            seen.bystander.append(&mut pieces);
        } else {
            loop {
                due_ns = turns.due_after(due_ns);
                if due_ns as u64 >= until_ns {
                    break;
                }
                when.sleep_until(due_ns as u64);
                let due_ns = due_ns as u64;
                let done = Invocation::run(due_ns, SHORT_NS, rounds_per_s, || when.now_ns());
                seen.functions.push(done);
            }
            when.sleep_until(until_ns);
        }
    }
    Ok(seen)
}

/// The tasks of one cgroup, as threads.
fn part(args: &MixArgs, part: u32, rounds_per_s: u64) -> Result<Seen> {
    if let Some(path) = &args.cgroup {
        cgroup::enter(path)?;
    }
    thread::scope(|scope| {
        let tasks: Vec<_> = (0..args.tasks)
            .map(|i| {
                let seed = args.compared.seed ^ (u64::from(part) << 32) ^ (u64::from(i) << 48);
                scope.spawn(move || task(args, seed, rounds_per_s))
            })
            .collect();

        let mut all = Seen::default();
        for task in tasks {
            all.append(task.join().expect("a thread panicked")?);
        }
        Ok(all)
    })
}

/// All cgroups, with a process in each.
fn whole(args: &MixArgs, rounds_per_s: u64) -> Result<Seen> {
    interrupt::handle();
    let this = env::current_exe().context("path of this program")?;
    let names: Vec<_> = (0..args.groups).map(|i| i.to_string()).collect();
    let groups = Groups::create("sched_bpf_mix", &names, Some(100))?;
    let parts = groups
        .paths
        .iter()
        .enumerate()
        .map(|(i, path)| {
            let mut command = Command::new(&this);
            command.args(["mix", "--part", &i.to_string(), "--cgroup"]);
            command.arg(path);
            for (option, value) in [
                ("--tasks", u64::from(args.tasks)),
                ("--seed", args.compared.seed),
                ("--slice-us", args.compared.slice_us),
                ("--seconds", args.compared.seconds),
                ("--cpu", args.compared.cpu as u64),
                ("--rounds-per-s", rounds_per_s),
            ] {
                command.args([option, &value.to_string()]);
            }
            Child::spawn("mix", &mut command)
        })
        .collect::<Result<Vec<_>>>()?;

    let mut all = Seen::default();
    for child in parts {
        all.append(Seen::parse(&child.output()?)?);
    }
    Ok(all)
}

/// Runs the mix and prints a line for each time that an interactive task was due
/// ("function"), and for each piece of computing ("bystander"), as `functions` does.
pub fn mix(args: &MixArgs) -> Result<()> {
    let rounds_per_s = cpu::rounds_per_s(args.compared.rounds_per_s);
    let seen = match args.part {
        Some(number) => part(args, number, rounds_per_s)?,
        None => {
            // Out of the way of what is measured.
            cpu::pin(0)?;
            whole(args, rounds_per_s)?
        }
    };

    print!("{}", seen.print());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_each_other() {
        let mut turns = Turns::new(1);
        let first = turns.computes;

        assert_eq!(turns.begin(0), 0.0);
        assert_ne!(turns.computes, first);
        for _ in 0..10 {
            let (computed, ended_ns) = (turns.computes, turns.ends_ns);
            assert_eq!(turns.begin(ended_ns as u64), ended_ns);
            assert_eq!(turns.computes, !computed);
            assert!(turns.ends_ns > ended_ns);
        }
    }

    #[test]
    fn late_computing_delays_what_is_due_then() {
        let mut turns = Turns::new(1);

        for _ in 0..10 {
            let (computed, ended_ns) = (turns.computes, turns.ends_ns);
            let late_ns = ended_ns as u64 + 5_000_000;
            let begin_ns = turns.begin(late_ns);
            assert_eq!(begin_ns == late_ns as f64, computed);
            assert_eq!(begin_ns == ended_ns, !computed);
        }
    }
}
