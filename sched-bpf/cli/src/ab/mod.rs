// SPDX-License-Identifier: GPL-2.0

//! `ab`: a trial of two arms on a live host.
//!
//! A host differs from one minute to the next by more than policies do, so the arms alternate
//! in windows of some seconds, in random order: a switchback experiment. First A alternates
//! with itself. A difference there is an effect of the measurement, and the trial ends.

mod analysis;
mod arms;
mod measure;
mod plan;
mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{ensure, Context, Result};
use nix::sys::signal::Signal;
use sched_bpf_core::attach::Attached;
use sched_bpf_core::state;
use sched_bpf_core::target::Cgroup;

use crate::args::{AbArgs, Guard};
use crate::output::{Output, Progress};
use crate::request::{self, require_policies};
use crate::signals::Signals;
use crate::wait::{wait, Event, LOOK};
use analysis::{blocks, Seen};
use arms::Arms;
use measure::{Measured, Reading, Sources};
use plan::{Phase, Window};
use report::{End, Report};

/// Wait until `end`; an event before that ends the trial.
fn ended(signals: &Signals, attached: &[Attached], end: Instant) -> Result<Option<End>> {
    Ok(match wait(signals, None, attached, Some(end))? {
        Some(Event::Lost(i, condition)) => {
            Some(End::Lost(format!("policy {} {condition}", attached[i].name)))
        }
        // No task is waited for.
        Some(Event::Signal(_) | Event::TaskEnded) => Some(End::Signal),
        None => None,
    })
}

/// A trial while it runs.
struct Trial<'a> {
    args: &'a AbArgs,
    signals: Signals,
    arms: Arms,
    sources: Sources,
    begin: Instant,
    seen: Vec<Seen>,
}

impl Trial<'_> {
    /// Return the guard that was hit, in words.
    fn hit(&self, window: Window, measured: &Measured) -> Option<End> {
        let hit = |guards: &[Guard], option: &str, is_kept: fn(f64, f64) -> bool| {
            guards.iter().find_map(|guard| {
                let value = guard.metric.of(std::iter::once(measured))?;
                (!is_kept(value, guard.bound)).then(|| {
                    End::Guard(format!(
                        "{option} {}={}: it was {value:.1} under {:?} ({})",
                        guard.metric,
                        guard.bound,
                        window.arm,
                        self.arms.name(window.phase, window.arm)
                    ))
                })
            })
        };

        hit(&self.args.at_most, "--at-most", |value, bound| value <= bound)
            .or_else(|| hit(&self.args.at_least, "--at-least", |value, bound| value >= bound))
    }

    /// Note the measurements of a window, whole or not.
    fn note(&mut self, window: Window, at: Duration, whole: bool, measured: Measured) {
        self.seen.push(Seen { window, at_s: at.as_secs_f64(), whole, measured });
    }

    /// Run a window. Returns why the trial ends in it, if it does.
    fn window(&mut self, window: Window) -> Result<Option<End>> {
        let at = self.begin.elapsed();
        self.arms.switch(window.phase, window.arm)?;
        let begin = Instant::now();
        let end = begin + self.args.window;

        let burnt_in = begin + self.args.burn_in;
        if let Some(end) = ended(&self.signals, self.arms.attached(), burnt_in)? {
            return Ok(Some(end));
        }
        let from = self.sources.read()?;
        let guarded = !self.args.at_most.is_empty() || !self.args.at_least.is_empty();
        loop {
            let now = Instant::now();
            // No look shortly before the end.
            let next = if guarded && now + LOOK + LOOK / 2 < end { now + LOOK } else { end };
            let event = ended(&self.signals, self.arms.attached(), next)?;
            let measured = self.measured(&from, event.is_some())?;
            let event = event.or_else(|| self.hit(window, measured.as_ref()?));
            let whole = event.is_none();
            if event.is_some() || next >= end {
                if let Some(measured) = measured {
                    self.note(window, at, whole, measured);
                }
                return Ok(event);
            }
        }
    }

    /// Return the measurements since `from`. If the trial ends, failures do not matter.
    fn measured(&self, from: &Reading, ends: bool) -> Result<Option<Measured>> {
        match self.sources.read().and_then(|now| now.since(from)) {
            Ok(measured) => Ok(Some(measured)),
            Err(_) if ends => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Run windows to the end of the trial, and return why it ended.
    fn windows(&mut self, all: &[Window]) -> Result<End> {
        let progress = Progress::new();

        for (number, window) in all.iter().enumerate() {
            let text = format!(
                "window {} of {}: {}, {:?} ({})",
                number + 1,
                all.len(),
                match window.phase {
                    Phase::Same => "A with itself",
                    Phase::Trial => "A with B",
                },
                window.arm,
                self.arms.name(window.phase, window.arm)
            );
            progress.step(&text, self.args.window * (all.len() - number) as u32);
            if let Some(end) = self.window(*window)? {
                return Ok(end);
            }

            let next = all.get(number + 1);
            let phase_ends = next.is_none_or(|next| next.phase != window.phase);
            if window.phase == Phase::Same && phase_ends {
                let blocks = blocks(&self.seen, Phase::Same);
                let same = analysis::same(&self.sources.metrics(), &blocks);
                if !analysis::differing(&same).is_empty() {
                    return Ok(End::Differs(analysis::differing(&same)));
                }
            }
        }
        Ok(End::Planned)
    }
}

fn check(args: &AbArgs) -> Result<()> {
    let time = humantime::format_duration;

    ensure!(
        args.window >= Duration::from_millis(100),
        "--window {}: too short; give 100ms or more",
        time(args.window)
    );
    ensure!(
        args.burn_in < args.window,
        "--burn-in {}: give less than --window, which is {}",
        time(args.burn_in),
        time(args.window)
    );
    Ok(())
}

/// Run the trial and report.
pub fn ab(args: &AbArgs, out: Output) -> Result<ExitCode> {
    check(args)?;
    let specs = [
        arms::parse(&args.a, &args.set_a).context("arm A")?,
        arms::parse(&args.b, &args.set_b).context("arm B")?,
    ];
    let mut protects = specs.iter().flatten();
    ensure!(
        !args.all || protects.all(|spec| !spec.source.is_protect()),
        "--all with protect would end wakeup preemption; give --cgroup or --unit"
    );
    let target = request::cgroup(args.cgroup.as_deref(), args.unit.as_deref())?;
    let measure = match &args.measure {
        Some(path) => {
            let cgroup = Cgroup::open(path);
            Some(cgroup.with_context(|| format!("--measure {}", path.display()))?)
        }
        None => target.clone(),
    };
    let name = |cgroup: &Option<Cgroup>| match cgroup {
        Some(cgroup) => cgroup.path.display().to_string(),
        None => "all tasks".to_string(),
    };

    require_policies()?;
    ensure!(state::enabled()?, "policies are off, so there is nothing to compare");
    let id = measure.as_ref().map_or(Ok(0), Cgroup::id)?;
    let sources = Sources::open(id, args.throughput.clone())?;
    let guards = args.at_most.iter().chain(&args.at_least);
    for metric in guards.map(|guard| guard.metric).chain([args.metric]) {
        ensure!(sources.metrics().contains(&metric), "{metric} needs --throughput");
    }
    // Both fail before anything is attached.
    sources.read()?;
    let cgroup = target.clone().map_or_else(Cgroup::root, Ok)?;
    let arms = Arms::load(specs, cgroup)?;
    let seed = args.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64 % 1_000_000)
    });

    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    let plan = plan::windows(args.aa_blocks, args.blocks, seed);
    let mut trial = Trial { args, signals, arms, sources, begin: Instant::now(), seen: Vec::new() };

    // What was measured before a failure is reported.
    let end = trial.windows(&plan).unwrap_or_else(|e| End::Failed(format!("{e:#}")));
    trial.arms.detach()?;

    let report = Report::new(
        args,
        &trial.arms,
        &trial.sources.metrics(),
        &trial.seen,
        [name(&target), name(&measure)],
        seed,
        end,
    );
    report.write(out)?;
    Ok(report.status())
}
