// SPDX-License-Identifier: GPL-2.0

//! `ab`: a trial of two arms on a live host.
//!
//! A host differs from one minute to the next by more than policies differ, so the arms take
//! turns in windows of some seconds, in random order: a switchback experiment. First A takes
//! turns with itself. Where that finds a difference, what is measured is no measure of a
//! policy, and the trial ends.

mod analysis;
mod arms;
mod measure;
mod plan;
mod report;

use std::fs::OpenOptions;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{bail, ensure, Context, Result};
use nix::sys::signal::Signal;

pub use arms::Spec;
pub use measure::{prometheus, Counter, Metric};

use crate::attach::Attached;
use crate::cli::AbArgs;
use crate::kernel;
use crate::run::{wait_until, Event};
use crate::signals::Signals;
use crate::target::Target;
use analysis::Block;
use arms::Arms;
use measure::{Measured, Sources};
use plan::{Arm, Phase, Window};
use report::{End, Report, Seen};

/// How often bounds are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// A bound of a metric that ends the trial when it is not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Of which metric
    pub metric: Metric,
    /// The bound
    pub bound: f64,
}

/// Parses `METRIC=NUMBER` of --at-most and --at-least.
pub fn guard(text: &str) -> Result<Guard, String> {
    let (metric, bound) = text.split_once('=').ok_or("METRIC=NUMBER is expected")?;
    let metric = metric.parse()?;

    match bound.parse::<f64>() {
        Ok(bound) if bound.is_finite() => Ok(Guard { metric, bound }),
        _ => Err(format!("'{bound}' is no number")),
    }
}

/// Parses seconds, with a fraction or without: 0 to a day.
pub fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|s| (0.0..=86_400.0).contains(s))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds is expected, 0 to 86400".to_string())
}

/// Waits until `end`; what happens before ends the trial.
fn ended(
    signals: &Signals,
    attached: &[Attached],
    end: Instant,
    detached: impl FnOnce(usize) -> String,
) -> Result<Option<End>> {
    Ok(match wait_until(signals, None, attached, Some(end))? {
        Some(Event::Detached(index)) => Some(End::Detached(detached(index))),
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
    metrics: Vec<Metric>,
    begin: Instant,
    seen: Vec<Seen>,
}

impl Trial<'_> {
    /// Waits; what is not the end of the time ends the trial.
    fn wait(&self, end: Instant) -> Result<Option<End>> {
        let attached = self.arms.attached();

        ended(&self.signals, attached, end, |index| {
            self.arms.why_detached(index)
        })
    }

    /// The bound that is not kept, in words.
    fn broken(&self, arm: Arm, measured: &Measured) -> Option<End> {
        let value = |metric: Metric| metric.of(std::iter::once(measured));
        let broken = |guards: &[Guard], option: &str, kept: fn(f64, f64) -> bool| {
            guards.iter().find_map(|guard| {
                let value = value(guard.metric).filter(|value| !kept(*value, guard.bound))?;
                Some(End::Guard(format!(
                    "{option} {}={}: it was {value:.1} under {arm:?}, {}",
                    guard.metric,
                    guard.bound,
                    self.arms.name(arm)
                )))
            })
        };

        broken(&self.args.at_most, "--at-most", |value, bound| {
            value <= bound
        })
        .or_else(|| {
            broken(&self.args.at_least, "--at-least", |value, bound| {
                value >= bound
            })
        })
    }

    /// Runs a window. None in place of what was measured: the trial ends.
    fn window(&mut self, window: Window) -> Result<Result<Measured, End>> {
        self.arms.switch(window.phase, window.arm)?;
        let begin = Instant::now();
        let end = begin + self.args.window;

        if let Some(end) = self.wait(begin + self.args.burn_in)? {
            return Ok(Err(end));
        }
        let from = self.sources.read()?;
        loop {
            let now = Instant::now();
            // No look shortly before the end.
            let next = if now + LOOK + LOOK / 2 < end {
                now + LOOK
            } else {
                end
            };
            if let Some(end) = self.wait(next)? {
                return Ok(Err(end));
            }
            let guarded = !self.args.at_most.is_empty() || !self.args.at_least.is_empty();
            if next < end && !guarded {
                continue;
            }
            let measured = self.sources.read()?.since(&from)?;
            if let Some(end) = self.broken(window.arm, &measured) {
                return Ok(Err(end));
            }
            if next >= end {
                return Ok(Ok(measured));
            }
        }
    }

    /// Runs windows up to the end of the trial, and returns why it ended.
    fn windows(&mut self, all: &[Window], seed: u64) -> Result<End> {
        for (number, window) in all.iter().enumerate() {
            eprintln!(
                "window {} of {}: {}, {:?} ({})",
                number + 1,
                all.len(),
                match window.phase {
                    Phase::Same => "A with itself",
                    Phase::Trial => "A with B",
                },
                window.arm,
                match window.phase {
                    Phase::Same => self.arms.name(Arm::A),
                    Phase::Trial => self.arms.name(window.arm),
                }
            );
            let at = self.begin.elapsed();
            match self.window(*window)? {
                Ok(measured) => self.seen.push(Seen {
                    window: *window,
                    at_s: at.as_secs_f64(),
                    measured,
                }),
                Err(end) => return Ok(end),
            }

            let next = all.get(number + 1);
            let phase_ends = next.is_none_or(|next| next.phase != window.phase);
            let block_ends = next.is_none_or(|next| next.block != window.block) || phase_ends;
            if window.phase == Phase::Same && phase_ends {
                let same = analysis::same(&self.metrics, &blocks(&self.seen, Phase::Same), seed)?;
                if !analysis::differing(&same).is_empty() {
                    return Ok(End::Differs(analysis::differing(&same)));
                }
            }
            if window.phase == Phase::Trial && block_ends && next.is_some() {
                if let Some(end) = self.early() {
                    return Ok(end);
                }
            }
        }
        Ok(End::Planned)
    }

    /// Looks whether --until is known already.
    fn early(&self) -> Option<End> {
        let metric = self.args.until?;
        let blocks = blocks(&self.seen, Phase::Trial);
        let change = analysis::at_any_time(metric, &blocks, analysis::ALPHA);

        change
            .filter(|change| !change.holds(analysis::none(metric)))
            .map(|_| End::Known(metric))
    }
}

/// The whole blocks of a phase, in order.
fn blocks(seen: &[Seen], phase: Phase) -> Vec<Block> {
    let of = |arm| {
        seen.iter()
            .filter(move |s| s.window.phase == phase && s.window.arm == arm)
    };

    of(Arm::A)
        .filter_map(|a| {
            let b = of(Arm::B).find(|b| b.window.block == a.window.block)?;
            Some(Block {
                a: a.measured.clone(),
                b: b.measured.clone(),
            })
        })
        .collect()
}

fn check(args: &AbArgs) -> Result<()> {
    ensure!(
        args.window >= Duration::from_millis(100),
        "--window {}: too short; 0.1 to 86400 seconds are accepted",
        args.window.as_secs_f64()
    );
    ensure!(
        args.burn_in < args.window,
        "--burn-in {}: less than --window is accepted, which is {}",
        args.burn_in.as_secs_f64(),
        args.window.as_secs_f64()
    );
    Ok(())
}

/// Runs the trial and reports. Fails, after the report, if it did not come to its end.
pub fn ab(args: &AbArgs) -> Result<()> {
    check(args)?;
    let target = match &args.cgroup {
        Some(path) => Target::cgroup_of("--cgroup", path)?,
        None => Target::All,
    };
    let of = match &args.measure {
        Some(path) => Some(Target::cgroup_of("--measure", path)?),
        None => None,
    };
    let of = of.as_ref().unwrap_or(&target).as_cgroup();
    let of = of
        .map(|cgroup| anyhow::Ok((cgroup.path.clone(), cgroup.id()?)))
        .transpose()?;
    let target_name = match &args.cgroup {
        Some(path) => path.display().to_string(),
        None => "all tasks".to_string(),
    };
    let measured_of = match &of {
        Some((path, _)) => path.display().to_string(),
        None => "all tasks".to_string(),
    };

    kernel::require_policies()?;
    ensure!(
        sched_bpf_counters::enabled()?,
        "no policy is asked, so there is nothing to compare"
    );
    let counter = args.throughput.clone().map(Counter::Command);
    let sources = Sources::open(
        of.as_ref().map(|(path, id)| (path.as_path(), *id)),
        counter.or_else(|| args.prometheus.clone()),
    )?;
    let metrics = sources.metrics();
    for metric in args
        .at_most
        .iter()
        .chain(&args.at_least)
        .map(|guard| guard.metric)
        .chain(args.until)
    {
        ensure!(
            metrics.contains(&metric),
            "{metric} is not measured here; there are {}",
            metrics
                .iter()
                .map(|m| m.name())
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    // Both fail before anything is attached.
    sources.read()?;
    let arms = Arms::load(
        [
            (args.a.clone(), args.set_a.clone()),
            (args.b.clone(), args.set_b.clone()),
        ],
        target,
    )?;
    let seed = args.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64 % 1_000_000)
    });

    // So that the trial is not in vain. What is there stays until there is a report.
    if let Some(path) = &args.html {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("--html {}", path.display()))?;
    }

    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    let plan = plan::windows(args.aa_blocks, args.blocks, seed);
    eprintln!(
        "{} windows of {} s, {:.0} s in all; seed {seed}",
        plan.len(),
        args.window.as_secs_f64(),
        args.window.as_secs_f64() * plan.len() as f64 + args.shadow.as_secs_f64()
    );
    let mut trial = Trial {
        args,
        signals,
        arms,
        sources,
        metrics,
        begin: Instant::now(),
        seen: Vec::new(),
    };

    let mut shadowed = Vec::new();
    let mut end = None;
    if !args.shadow.is_zero() {
        eprintln!("in the shadow for {} s", args.shadow.as_secs_f64());
        shadowed = trial.arms.shadow(|attached| {
            let until = Instant::now() + args.shadow;
            end = ended(&trial.signals, attached, until, |index| {
                format!("policy {} was detached in the shadow", attached[index].name)
            })?;
            Ok(())
        })?;
    }
    let end = match end {
        Some(end) => end,
        // What was measured before something failed is not lost.
        None => trial
            .windows(&plan, seed)
            .unwrap_or_else(|e| End::Failed(format!("{e:#}"))),
    };
    trial.arms.detach()?;

    let report = Report::new(
        args,
        &trial,
        &measured_of,
        &target_name,
        seed,
        shadowed,
        end,
    )?;
    report.write(args)?;
    match report.failure() {
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::measure::tests::measured;
    use super::*;

    #[test]
    fn arguments() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err() && seconds("x").is_err() && seconds("inf").is_err());

        let all = guard("wakeup_p99_us=500").unwrap();
        assert_eq!((all.metric, all.bound), (Metric::WakeupP99Us, 500.0));
        assert!(guard("wakeup_p99_us")
            .unwrap_err()
            .contains("METRIC=NUMBER"));
        assert!(guard("p99=1")
            .unwrap_err()
            .contains("there are wakeup_mean_us"));
        assert!(guard("wakeup_p99_us=x")
            .unwrap_err()
            .contains("'x' is no number"));
    }

    #[test]
    fn only_whole_blocks() {
        let seen = |block, arm, throughput| Seen {
            window: Window {
                phase: Phase::Trial,
                block,
                arm,
            },
            at_s: 0.0,
            measured: measured(&[], throughput),
        };
        let all = [
            seen(0, Arm::B, 1.0),
            seen(0, Arm::A, 2.0),
            seen(1, Arm::A, 3.0),
        ];
        let whole = blocks(&all, Phase::Trial);
        let throughput = |m: &Measured| Metric::ThroughputPerS.of(std::iter::once(m));

        assert_eq!(whole.len(), 1);
        assert_eq!(throughput(&whole[0].b), Some(1.0));
        assert!(blocks(&all, Phase::Same).is_empty());
    }
}
