// SPDX-License-Identifier: GPL-2.0

//! The demo: the same load on a stock kernel, with what that can be set to for it, with
//! policies, and without them again.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use sched_bpf_counters::HookCounters;

use crate::cgroup::{self, Cgroups};
use crate::child::{self, Child};
use crate::cli::DemoArgs;
use crate::cpu::Work;
use crate::measure::Measures;
use crate::policy::{self, Policy};
use crate::report::{self, Kind, Phase};
use crate::slice::{self, Slice};

/// The hogs begin before the first request that is measured and end after the last.
const HOGS_EXTRA_SECONDS: u64 = 1;

const NS_PER_MS: u64 = 1_000_000;

/// What the service gets of a stock kernel: the shortest slice, in microseconds, ten times
/// the usual cpu.weight, a real-time class.
const SLICE_US: &str = "100";
const WEIGHT: u32 = 1000;
const FIFO: &[&str] = &["chrt", "--fifo", "1"];

/// What runs the load, and is the same in all phases.
struct Demo<'a> {
    args: &'a DemoArgs,
    this: &'a Path,
    cgroups: &'a Cgroups,
    /// Work of a request. Measured once, so that it is the same in all phases
    rounds: u64,
}

impl Demo<'_> {
    /// Runs the load on a stock kernel; the service is started by `prefix`, with `more`.
    fn stock(&self, name: &str, prefix: &[&str], more: &[&str]) -> Result<Phase> {
        let (service, hogs) = self.load(prefix, more).with_context(|| name.to_string())?;

        Phase::new(name, Kind::Stock, &service, &hogs, Vec::new())
    }

    /// With a number in a file of a cgroup; `usual` is put back.
    fn set(&self, name: &str, cgroup: &Path, file: &str, value: u32, usual: u32) -> Result<Phase> {
        cgroup::set(cgroup, file, value)?;
        let phase = self.stock(name, &[], &[]);
        cgroup::set(cgroup, file, usual)?;
        phase
    }

    /// With a policy, which is detached then.
    fn policy(&self, policy: Policy, name: &str) -> Result<Phase> {
        let before = policy.counters()?;
        let (service, hogs) = self.load(&[], &[]).with_context(|| name.to_string())?;
        let counters = since(&policy.counters()?, &before);

        policy.detach()?;
        Phase::new(name, Kind::Policy, &service, &hogs, counters)
    }

    /// A part of the load in a cgroup, for so many seconds, started by `prefix`.
    fn part(
        &self,
        prefix: &[&str],
        what: &str,
        cgroup: &Path,
        seconds: u64,
        options: &[(&str, u64)],
    ) -> Command {
        let mut command = child::command(prefix, self.this);

        command.arg(what).arg("--cgroup").arg(cgroup);
        for (option, value) in [
            ("--cpu", self.args.place.cpu as u64),
            ("--seconds", seconds),
        ]
        .iter()
        .chain(options)
        {
            command.args([*option, &value.to_string()]);
        }
        command
    }

    /// Runs service and hogs together and returns what each measured.
    fn load(&self, prefix: &[&str], more: &[&str]) -> Result<(Measures, Measures)> {
        let args = self.args;
        let mut hogs = self.part(
            &[],
            "hogs",
            &self.cgroups.hogs,
            args.place.seconds + HOGS_EXTRA_SECONDS,
            &[
                ("--count", u64::from(args.hogs)),
                ("--burst-us", args.burst.burst_us),
                ("--idle-us", args.burst.idle_us),
            ],
        );
        let mut service = self.part(
            prefix,
            "serve",
            &self.cgroups.service,
            args.place.seconds,
            &[
                ("--workers", u64::from(args.service.workers)),
                ("--work-us", args.service.work_us),
                ("--work-rounds", self.rounds),
                ("--gap-us", args.service.gap_us),
                ("--compute-ms", args.service.compute_ms),
                ("--compute-every-ms", args.service.compute_every_ms),
                ("--client-cpu", args.service.client_cpu as u64),
            ],
        );
        let hogs = Child::spawn("hogs", &mut hogs)?;
        let service = Child::spawn("serve", service.args(more))?;

        Ok((
            Measures::parse(&service.output()?).context("serve")?,
            Measures::parse(&hogs.output()?).context("hogs")?,
        ))
    }
}

/// Runs the demo.
pub fn demo(args: &DemoArgs) -> Result<()> {
    let this = env::current_exe().context("path of this program")?;
    let loader = policy::loader(args.loader.as_deref(), &this)?;

    // Before anything is made: is there a kernel to show something of?
    sched_bpf_counters::read()?;

    let cgroups = Cgroups::create(Some(args.weight))?;
    let slice = match args.base_slice {
        0 => None,
        ms => Some(Slice::set(slice::BASE, ms * NS_PER_MS)?),
    };
    let rounds = match args.service.work_rounds {
        Some(rounds) => rounds,
        None => Work::taking(Duration::from_micros(args.service.work_us)).rounds,
    };
    let demo = Demo {
        args,
        this: &this,
        cgroups: &cgroups,
        rounds,
    };

    let mut phases = vec![
        demo.stock("stock", &[], &[])?,
        demo.stock("slice 0.1 ms", &[], &["--slice-us", SLICE_US])?,
    ];
    if cgroups.controlled {
        let service = &cgroups.service;
        phases.push(demo.set(
            "cpu.weight 1000",
            service,
            "cpu.weight",
            WEIGHT,
            args.weight,
        )?);
        phases.push(demo.set("hogs cpu.idle", &cgroups.hogs, "cpu.idle", 1, 0)?);
    }
    phases.push(demo.stock("SCHED_FIFO", FIFO, &[])?);

    let policy = Policy::attach(&loader, &cgroups.service, args.cap)?;
    phases.push(demo.policy(policy, "policy")?);
    for spec in &args.module {
        let policy = Policy::load(spec, &cgroups.service)?;
        let name = policy.name().to_string();
        phases.push(demo.policy(policy, &name)?);
    }
    phases.push(demo.stock("detached", &[], &[])?);
    drop(slice);

    print!("{}", report::table(&phases));
    if let Some(path) = &args.csv {
        fs::write(path, report::csv(&phases)?).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.plot {
        fs::write(path, report::plot(&phases)?).with_context(|| path.display().to_string())?;
    }
    phases
        .iter()
        .filter(|phase| phase.kind() == Kind::Policy)
        .try_for_each(|policy| report::verdict(&phases[0], policy))
}

fn since(after: &[HookCounters], before: &[HookCounters]) -> Vec<HookCounters> {
    after
        .iter()
        .zip(before)
        .map(|(after, before)| after.since(before))
        .collect()
}
