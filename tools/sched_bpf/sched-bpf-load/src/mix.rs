// SPDX-License-Identifier: GPL-2.0

//! Many tasks in many cgroups on one CPU, each of which is interactive for some time and
//! computes for some, in turns of its own: nobody knows which does what now.
//!
//! Shape, fixed before anything was measured: lengths of turns and pauses are exponential; a
//! task is interactive for a second on average and computes for 50 ms, so that of 120 some 5
//! compute at a time; interactive, it is due every 50 ms and takes 0.2 ms.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::arrivals::exponential;
use crate::cgroup::{self, Groups};
use crate::child::Child;
use crate::cli::MixArgs;
use crate::cpu::{self, Work};
use crate::functions::{Invocation, Seen};
use crate::pieces;
use crate::setattr;

/// Mean of an interactive turn, in nanoseconds.
const INTERACTIVE_NS: f64 = 1e9;

/// Mean of a computing turn, in nanoseconds.
const COMPUTING_NS: f64 = 50e6;

/// Mean time between two times when an interactive task is due, in nanoseconds.
const PAUSE_NS: f64 = 50e6;

/// CPU time that an interactive task takes then, in nanoseconds.
const SHORT_NS: u64 = 200_000;

/// A task, by turns one and the other; returns what became of its turns.
fn task(args: &MixArgs, seed: u64, rounds_per_s: u64) -> Result<Seen> {
    let mut rng = Rng::with_seed(seed);
    let mut seen = Seen::default();
    let end_ns = args.compared.place.seconds * 1_000_000_000;

    cpu::pin(args.compared.place.cpu)?;
    setattr::own_slice(args.compared.slice_us)?;
    let begin = Instant::now();
    let now_ns = || begin.elapsed().as_nanos() as u64;
    let run = |due_ns: u64, length_ns: u64| {
        let wait_ns = now_ns().saturating_sub(due_ns);
        Work::of(length_ns, rounds_per_s).run();
        Invocation {
            length_ns,
            wait_ns,
            duration_ns: now_ns().saturating_sub(due_ns),
        }
    };
    let mut turn_ends = 0.0;
    let mut computes = rng.f64() < COMPUTING_NS / (INTERACTIVE_NS + COMPUTING_NS);
    let mut due = 0.0;

    while now_ns() < end_ns {
        turn_ends += exponential(
            &mut rng,
            if computes {
                COMPUTING_NS
            } else {
                INTERACTIVE_NS
            },
        );
        let until_ns = (turn_ends as u64).min(end_ns);
        if computes {
            let until = Duration::from_nanos(until_ns);
            let mut pieces = pieces::compute_until(begin, until, rounds_per_s);
            seen.bystander.append(&mut pieces);
            due = turn_ends;
        } else {
            loop {
                due += exponential(&mut rng, PAUSE_NS);
                if due as u64 >= until_ns {
                    break;
                }
                thread::sleep(Duration::from_nanos((due as u64).saturating_sub(now_ns())));
                seen.functions.push(run(due as u64, SHORT_NS));
            }
            thread::sleep(Duration::from_nanos(until_ns.saturating_sub(now_ns())));
        }
        computes = !computes;
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
    let this = env::current_exe().context("path of this program")?;
    let groups = Groups::create("sched_bpf_mix", args.groups)?;
    let parts = groups
        .paths()
        .enumerate()
        .map(|(i, path): (usize, PathBuf)| {
            let mut command = Command::new(&this);
            command.args(["mix", "--part", &i.to_string(), "--cgroup"]);
            command.arg(path);
            for (option, value) in [
                ("--tasks", u64::from(args.tasks)),
                ("--seed", args.compared.seed),
                ("--slice-us", args.compared.slice_us),
                ("--seconds", args.compared.place.seconds),
                ("--cpu", args.compared.place.cpu as u64),
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
