// SPDX-License-Identifier: GPL-2.0

//! A load of two parts, what is measured and what is beside it, on one CPU: processes of their
//! own, in cgroups of their own, that begin and end together.

use std::env;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::time::{clock_gettime, ClockId};

use crate::cgroup::{self, Groups};
use crate::child::Child;
use crate::cli::{Part, RequestsArgs};
use crate::cpu;
use crate::interrupt;
use crate::policy::Policy;
use crate::seen::{Invocation, Seen};

/// For how long the policy lets a task run, in milliseconds.
const CAP_MS: u64 = 10;

/// What a part says when it may begin; it is told when, then.
const READY: &str = "ready";

/// How long that may take, on a machine that has to read pages of the program for it, too.
const TOLD: Duration = Duration::from_millis(500);

/// What a part is to do: when, for how long, and how fast its CPU is.
#[derive(Clone, Copy, Debug)]
pub struct When {
    pub begin: Instant,
    pub time: Duration,
    /// Rounds of work that take a second
    pub rounds_per_s: u64,
}

impl When {
    /// Sleeps until it begins.
    pub fn await_begin(&self) {
        thread::sleep(self.begin.saturating_duration_since(Instant::now()));
    }

    /// Sleeps until so many nanoseconds since the begin.
    pub fn sleep_until(&self, ns: u64) {
        thread::sleep(Duration::from_nanos(ns.saturating_sub(self.now_ns())));
    }

    /// Nanoseconds since the begin.
    pub fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    /// Is the time over?
    pub fn is_over(&self) -> bool {
        self.begin.elapsed() >= self.time
    }
}

/// The time on the monotonic clock, which is the same in all processes.
fn monotonic() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC).context("time")?.into())
}

/// When the time `begin` of the monotonic clock is.
fn instant_of(begin: Duration) -> Result<Instant> {
    let left = begin
        .checked_sub(monotonic()?)
        .context("told too late to begin together with the other part")?;

    Ok(Instant::now() + left)
}

/// This program with the same arguments, as a part, once it is ready.
fn start(part: &str, cgroup: &Path, rounds_per_s: u64) -> Result<Child> {
    let mut command = Command::new(env::current_exe().context("path of this program")?);

    command.args(env::args_os().skip(1));
    command.args(["--part", part]);
    command.arg("--cgroup").arg(cgroup);
    command.args(["--rounds-per-s", &rounds_per_s.to_string()]);
    let mut child = Child::spawn_told(part, &mut command)?;
    child.line()?;
    Ok(child)
}

/// Says that this part is ready, and learns when to begin.
fn learn_begin() -> Result<Instant> {
    let mut line = String::new();

    println!("{READY}");
    io::stdin().read_line(&mut line).context("begin")?;
    let ns = line.trim().parse().context("begin")?;
    instant_of(Duration::from_nanos(ns))
}

fn whole(args: &RequestsArgs, rounds_per_s: u64) -> Result<Seen> {
    interrupt::handle();
    // Out of the way of what is measured.
    cpu::pin(0)?;
    let groups = Groups::create("sched_bpf_load", ["service", "beside"], args.weight)?;
    let [service, others] = &groups.paths;
    let attach = |loader: &Path| Policy::attach(loader, service, CAP_MS);
    let policy = match (&args.protect_by, &args.module) {
        (Some(loader), _) => Some(attach(loader)?),
        (None, Some(module)) => Some(Policy::load(module, service)?),
        (None, None) => None,
    };

    let mut beside = start("beside", others, rounds_per_s)?;
    let mut measured = start("measured", service, rounds_per_s)?;
    let begin = (monotonic()? + TOLD).as_nanos().to_string();
    beside.tell(&begin)?;
    measured.tell(&begin)?;
    let mut seen = Seen::parse(&measured.output()?)?;
    seen.append(Seen::parse(&beside.output()?)?);
    if let Some(policy) = policy {
        policy.was_called()?;
        policy.detach()?;
    }
    Ok(seen)
}

/// Runs both parts, or the one that this process is, and prints what they have seen: of what
/// is measured as of a "function", of what is beside it as of a "bystander".
pub fn run(
    args: &RequestsArgs,
    measured: impl FnOnce(When) -> Result<Vec<Invocation>>,
    beside: impl FnOnce(When) -> Result<Vec<Invocation>>,
) -> Result<()> {
    let rounds_per_s = cpu::rounds_per_s(args.rounds_per_s);
    let mut seen = Seen::default();

    let Some(part) = args.part else {
        print!("{}", whole(args, rounds_per_s)?.print());
        return Ok(());
    };
    if let Some(path) = &args.cgroup {
        cgroup::enter(path)?;
    }
    let when =
        When { begin: learn_begin()?, time: Duration::from_secs(args.seconds), rounds_per_s };
    match part {
        Part::Measured => seen.functions = measured(when)?,
        Part::Beside => seen.bystander = beside(when)?,
    }
    print!("{}", seen.print());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begin() {
        let soon = monotonic().unwrap() + Duration::from_millis(20);
        let when = When { begin: instant_of(soon).unwrap(), time: Duration::ZERO, rounds_per_s: 1 };

        when.await_begin();
        assert!(monotonic().unwrap() >= soon);
        assert!(when.is_over());
        assert!(instant_of(soon).is_err());
    }
}
