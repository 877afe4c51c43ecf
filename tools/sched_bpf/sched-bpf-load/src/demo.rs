// SPDX-License-Identifier: GPL-2.0

//! The demo: the same load without the policy, with it, and without it again.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use sched_bpf_counters::HookCounters;

use crate::cgroup::Cgroups;
use crate::child::Child;
use crate::cli::DemoArgs;
use crate::cpu::Work;
use crate::measure::Measures;
use crate::policy::{self, Policy};
use crate::report::{self, Phase};
use crate::slice::BaseSlice;

/// The hogs begin before the first request that is measured and end after the last.
const HOGS_EXTRA_SECONDS: u64 = 1;

/// Runs the demo.
pub fn demo(args: &DemoArgs) -> Result<()> {
    let this = env::current_exe().context("path of this program")?;
    let loader = policy::loader(args.loader.as_deref(), &this)?;

    // Before anything is made: is there a kernel to show something of?
    sched_bpf_counters::read()?;

    let cgroups = Cgroups::create(args.weight)?;
    let slice = match args.base_slice {
        0 => None,
        ms => Some(BaseSlice::set(ms)?),
    };
    // Measured once, so that requests are the same in all phases.
    let rounds = match args.service.work_rounds {
        Some(rounds) => rounds,
        None => Work::taking(Duration::from_micros(args.service.work_us)).rounds,
    };
    let load =
        |name: &str| run_load(args, &this, &cgroups, rounds).with_context(|| name.to_string());

    let (service, hogs) = load("stock")?;
    let stock = Phase::new("stock", &service, &hogs, Vec::new())?;

    let with = |policy: Policy, name: &str| {
        let before = policy.counters()?;
        let (service, hogs) = load(name)?;
        let counters = since(&policy.counters()?, &before);
        policy.detach()?;
        Phase::new(name, &service, &hogs, counters)
    };
    let policy = Policy::attach(&loader, &cgroups.service, args.cap)?;
    let mut with_policy = vec![with(policy, "policy")?];
    for spec in &args.module {
        let policy = Policy::load(spec, &cgroups.service)?;
        let name = policy.name().to_string();
        with_policy.push(with(policy, &name)?);
    }

    let (service, hogs) = load("detached")?;
    let detached = Phase::new("detached", &service, &hogs, Vec::new())?;
    drop((cgroups, slice));

    let mut phases = vec![stock];
    phases.append(&mut with_policy);
    phases.push(detached);
    print!("{}", report::table(&phases));
    if let Some(path) = &args.csv {
        fs::write(path, report::csv(&phases)?).with_context(|| path.display().to_string())?;
    }
    phases[1..phases.len() - 1]
        .iter()
        .try_for_each(|policy| report::verdict(&phases[0], policy))
}

/// Runs service and hogs together and returns what each measured.
fn run_load(
    args: &DemoArgs,
    this: &Path,
    cgroups: &Cgroups,
    rounds: u64,
) -> Result<(Measures, Measures)> {
    let cpu = args.place.cpu.to_string();
    let start = |what: &str, cgroup: &Path, seconds: u64, more: &[(&str, String)]| {
        let mut command = Command::new(this);
        command.arg(what).arg("--cgroup").arg(cgroup);
        command.args(["--cpu", &cpu, "--seconds", &seconds.to_string()]);
        for (option, value) in more {
            command.args([option, value.as_str()]);
        }
        Child::spawn(what, &mut command)
    };

    let hogs = start(
        "hogs",
        &cgroups.hogs,
        args.place.seconds + HOGS_EXTRA_SECONDS,
        &[
            ("--count", args.hogs.to_string()),
            ("--burst-us", args.burst.burst_us.to_string()),
            ("--idle-us", args.burst.idle_us.to_string()),
        ],
    )?;
    let service = start(
        "serve",
        &cgroups.service,
        args.place.seconds,
        &[
            ("--workers", args.service.workers.to_string()),
            ("--work-rounds", rounds.to_string()),
            ("--gap-us", args.service.gap_us.to_string()),
            ("--client-cpu", args.service.client_cpu.to_string()),
        ],
    )?;

    Ok((
        Measures::parse(&service.output()?).context("serve")?,
        Measures::parse(&hogs.output()?).context("hogs")?,
    ))
}

fn since(after: &[HookCounters], before: &[HookCounters]) -> Vec<HookCounters> {
    after
        .iter()
        .zip(before)
        .map(|(after, before)| after.since(before))
        .collect()
}
