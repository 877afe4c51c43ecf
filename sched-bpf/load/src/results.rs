// SPDX-License-Identifier: GPL-2.0

//! What was measured of each setting, as CSV and as a table, and which goals are met.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use sched_bpf_statistics::{self as stats, Estimate, Figure, Run};

use crate::arrivals::LONG_NS;
use crate::cli::Load;
use crate::frames;
use crate::goals::Bound;
use crate::seen::{Invocation, Seen};
use crate::setting::{Kind, Setting};

/// A quantile of so few values beyond it is no figure to rely on.
const FEW: f64 = 10.0;

/// A kind of values that runs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Durations of all functions
    Duration,
    /// Durations of long functions
    Long,
    /// How long functions waited for their first instruction
    Wait,
    /// How long the bystander waited
    Bystander,
    /// The work of all, one value for each run
    Work,
    /// The work without that of the bystander, one value for each run
    Served,
    /// The work of the bystander, one value for each run
    Beside,
    /// The time of frames that were missed, one value for each run
    Missed,
    /// Durations of the bystander
    Jobs,
}

/// A run: when it was, and its values.
pub struct Measured {
    round: u32,
    place: usize,
    seed: u64,
    duration: Run,
    long: Run,
    wait: Run,
    bystander: Run,
    work: Run,
    served: Run,
    beside: Run,
    missed: Run,
    jobs: Run,
}

impl Measured {
    /// What a run of `time` in `round`, the `place`-th there, by the load's `seed` has seen.
    pub fn new(round: u32, place: usize, seed: u64, time: Duration, seen: &Seen) -> Result<Self> {
        let durations = |all: &[Invocation], least: u64| {
            let of = all.iter().filter(move |i| i.length_ns >= least);
            Run::new(of.map(|i| i.duration_ns))
        };

        let work = |all: &[Invocation]| all.iter().map(|i| i.length_ns).sum::<u64>();
        let (served, beside) = (work(&seen.functions), work(&seen.bystander));
        let one = |value| Run::new(std::iter::once(value));

        Ok(Self {
            round,
            place,
            seed,
            duration: durations(&seen.functions, 0)?,
            long: durations(&seen.functions, LONG_NS)?,
            wait: Run::new(seen.functions.iter().map(|i| i.wait_ns))?,
            bystander: Run::new(seen.bystander.iter().map(|i| i.wait_ns))?,
            work: one(served + beside)?,
            served: one(served)?,
            beside: one(beside)?,
            missed: one(frames::missed(time, &seen.functions) * frames::FRAME_NS)?,
            jobs: durations(&seen.bystander, 0)?,
        })
    }

    fn values(&self, of: Values) -> &Run {
        match of {
            Values::Duration => &self.duration,
            Values::Long => &self.long,
            Values::Wait => &self.wait,
            Values::Bystander => &self.bystander,
            Values::Work => &self.work,
            Values::Served => &self.served,
            Values::Beside => &self.beside,
            Values::Missed => &self.missed,
            Values::Jobs => &self.jobs,
        }
    }
}

/// All runs of all settings.
pub struct Results {
    load: Load,
    seed: u64,
    seconds: u64,
    settings: Vec<(String, Kind, Vec<Measured>)>,
}

/// A setting beside stock.
pub struct Compared<'a> {
    /// Its name
    pub name: &'a str,
    /// How it is judged
    pub kind: Kind,
    /// Ratios to stock, as of [`Load::goals`]
    pub ratios: Vec<Estimate>,
    /// The first of them, but to the best static setting
    pub to_best: Estimate,
}

/// The static setting with the best first ratio.
fn best<'a, 'b>(load: Load, compared: &'a [Compared<'b>]) -> Option<&'a Compared<'b>> {
    let better = |a: &&Compared, b: &&Compared| {
        let order = a.ratios[0].value.total_cmp(&b.ratios[0].value);
        if load.goals()[0].bound.wants_more() {
            order.reverse()
        } else {
            order
        }
    };

    compared
        .iter()
        .filter(|c| c.kind == Kind::Static)
        .min_by(better)
}

impl Results {
    /// Of runs of `seconds` of a load, in an order that follows from `seed`.
    pub fn new(load: Load, seed: u64, seconds: u64, settings: &[Setting]) -> Self {
        Self {
            load,
            seed,
            seconds,
            settings: settings
                .iter()
                .map(|setting| (setting.name.clone(), setting.kind, Vec::new()))
                .collect(),
        }
    }

    /// Adds a run of the setting of that number.
    pub fn add(&mut self, setting: usize, measured: Measured) {
        self.settings[setting].2.push(measured);
    }

    /// Each setting beside stock.
    pub fn compared(&self) -> Result<Vec<Compared<'_>>> {
        let runs = |all: &[Measured], of| -> Vec<Run> {
            all.iter().map(|run| run.values(of).clone()).collect()
        };
        let ratio = |all: &[Measured], base: &[Measured], goal: usize, alpha: f64| {
            let (_, of, what) = self.load.goals()[goal].column;
            stats::ratio(what, &runs(all, of), &runs(base, of), alpha)
        };
        let stock = &self.of(Kind::Stock)?.2;
        let alpha = self.alpha();
        let mut compared = Vec::new();

        for (name, kind, all) in &self.settings {
            let ratios = (0..self.load.goals().len())
                .map(|goal| ratio(all, stock, goal, alpha))
                .collect::<Result<Vec<_>>>()?;
            compared.push(Compared {
                name,
                kind: *kind,
                to_best: ratios[0],
                ratios,
            });
        }
        let Some(best) = best(self.load, &compared).map(|c| c.name.to_string()) else {
            return Ok(compared);
        };
        let base = self
            .settings
            .iter()
            .find(|setting| setting.0 == best)
            .context("the best is one of them")?;
        for (c, (_, _, all)) in compared.iter_mut().zip(&self.settings) {
            c.to_best = ratio(all, &base.2, 0, alpha)?;
        }
        Ok(compared)
    }

    /// How often an interval misses the truth: any of those that decide about a goal of a policy
    /// does with probability 0.05 together (Bonferroni).
    fn alpha(&self) -> f64 {
        let policies = self.settings.iter().filter(|(_, kind, _)| *kind == Kind::Policy);
        let goals = self.load.goals().iter().filter(|goal| goal.bound != Bound::None);
        // And whether a policy is better than the best static setting.
        let claims = policies.count() * (goals.count() + 1);

        0.05 / claims.max(1) as f64
    }

    fn of(&self, kind: Kind) -> Result<&(String, Kind, Vec<Measured>)> {
        self.settings
            .iter()
            .find(|setting| setting.1 == kind)
            .with_context(|| format!("no setting is {kind:?}"))
    }

    /// A row for each run: figures in microseconds.
    pub fn csv(&self) -> Result<String> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let columns = self.load.columns();
        let head = ["setting", "round", "place", "seed", "values"];

        out.write_record(
            head.iter()
                .map(ToString::to_string)
                .chain(columns.iter().map(|(name, ..)| format!("{name}_us"))),
        )?;
        for (name, _, runs) in &self.settings {
            for run in runs {
                out.write_field(name)?;
                for number in [
                    u64::from(run.round),
                    run.place as u64,
                    run.seed,
                    run.duration.len(),
                ] {
                    out.write_field(number.to_string())?;
                }
                for (_, of, what) in columns {
                    // A short run may have no value of a kind.
                    let ns = stats::figure(*what, std::iter::once(run.values(*of)));
                    out.write_field(ns.map_or(String::new(), |ns| format!("{:.1}", ns / 1e3)))?;
                }
                out.write_record(None::<&[u8]>)?;
            }
        }
        Ok(String::from_utf8(out.into_inner()?)?)
    }

    /// Tables of the figures and of the ratios to stock, and the goals.
    pub fn markdown(&self, compared: &[Compared]) -> Result<String> {
        let mut out = String::new();
        let columns = self.load.columns();
        let stock = &self.of(Kind::Stock)?.2;
        let count = |of| stock.iter().map(|run| run.values(of).len()).sum::<u64>();

        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{}. {} runs of {} s of each setting, seed {}. Figures of all runs together, in \
             milliseconds.\n",
            self.load.about(),
            stock.len(),
            self.seconds,
            self.seed,
        );
        let _ = write!(out, "| setting |");
        for (name, ..) in columns {
            let _ = write!(out, " {name} |");
        }
        let _ = writeln!(out, "\n|{}", " --- |".repeat(columns.len() + 1));
        for (name, _, runs) in &self.settings {
            let _ = write!(out, "| {name} |");
            for (_, of, what) in columns {
                let ns = stats::figure(*what, runs.iter().map(|run| run.values(*of)))?;
                let _ = write!(out, " {:.3} |", ns / 1e6);
            }
            let _ = writeln!(out);
        }

        let _ = write!(
            out,
            "\nRatios to stock, with intervals of Student's t over runs, of {:.2} % each, so that those \
             which decide about goals hold with 95 % together:\n\n| setting |",
            100.0 * (1.0 - self.alpha())
        );
        for goal in self.load.goals() {
            let _ = write!(out, " {} |", goal.column.0);
        }
        let _ = writeln!(out, "\n|{}", " --- |".repeat(self.load.goals().len() + 1));
        for c in compared {
            let _ = write!(out, "| {} |", c.name);
            for ratio in &c.ratios {
                let _ = write!(out, " {} |", text(*ratio));
            }
            let _ = writeln!(out);
        }
        let _ = writeln!(out, "\n{}", verdict(self.load, compared));

        for (name, of, what) in columns {
            if let Figure::Quantile(part) = what {
                let beyond = count(*of) as f64 * (1.0 - part);
                if beyond < FEW {
                    let _ = writeln!(
                        out,
                        "\n{name}: not to be relied on, as {beyond:.1} of {} values are beyond it.",
                        count(*of)
                    );
                }
            }
        }
        Ok(out)
    }
}

fn text(e: Estimate) -> String {
    // Of a maximum there is no interval.
    if e.high.is_infinite() {
        return format!("{:.3}", e.value);
    }
    format!("{:.3} ({:.3} to {:.3})", e.value, e.low, e.high)
}

/// By how much stock differs from itself, as a factor from 1 on; 1 if that may be chance.
fn difference(again: Estimate) -> f64 {
    if again.holds(1.0) {
        1.0
    } else {
        again.high.max(1.0 / again.low)
    }
}

/// What remains of an estimate where stock differs from itself by so much.
fn widened(e: Estimate, by: f64) -> Estimate {
    Estimate {
        low: e.low / by,
        high: e.high * by,
        ..e
    }
}

/// What can be claimed: nothing that is less than what stock differs from itself by.
fn verdict(load: Load, compared: &[Compared]) -> String {
    let Some(again) = compared.iter().find(|c| c.kind == Kind::Again) else {
        return "Stock was not measured twice: no claim.".to_string();
    };
    let goals = load.goals();
    let by: Vec<f64> = again.ratios.iter().map(|r| difference(*r)).collect();
    let mut out = String::new();

    for ((goal, ratio), by) in goals.iter().zip(&again.ratios).zip(&by) {
        if goal.bound != Bound::None && *by > 1.0 {
            // Writing to a string does not fail.
            let _ = write!(
                out,
                "Stock differs from itself in {}, {}: what differs by less is no claim, and \
                 intervals are judged as if they were wider by that. ",
                goal.column.0,
                text(*ratio)
            );
        }
    }
    if out.is_empty() {
        out.push_str("Stock does not differ from itself in what is claimed. ");
    }
    let first = goals[0].column.0;
    let (most, better, best_is_met): (_, _, fn(Estimate) -> bool) = if goals[0].bound.wants_more() {
        ("highest", "above", |e| e.low >= 1.0)
    } else {
        ("lowest", "below", |e| e.high <= 1.0)
    };
    if let Some(best) = best(load, compared) {
        let _ = write!(
            out,
            "The static setting with the {most} {first} is {}.",
            best.name
        );
    }
    let met = |kept: bool| if kept { "met" } else { "NOT met" };
    for c in compared.iter().filter(|c| c.kind == Kind::Policy) {
        let _ = write!(out, "\n- {}:", c.name);
        for ((goal, ratio), by) in goals.iter().zip(&c.ratios).zip(&by) {
            if goal.bound != Bound::None {
                let kept = met(goal.bound.is_kept(widened(*ratio, *by)));
                let _ = write!(out, " {} {} {kept};", goal.column.0, goal.bound.text());
            }
        }
        let _ = write!(
            out,
            " {first} {better} that of the best static setting, {}, {}.",
            text(c.to_best),
            met(best_is_met(widened(c.to_best, by[0])))
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64) -> Estimate {
        Estimate {
            value,
            low: value - 0.01,
            high: value + 0.01,
        }
    }

    fn compared(name: &str, kind: Kind, mean: f64, long: f64) -> Compared<'_> {
        Compared {
            name,
            kind,
            ratios: vec![estimate(mean), estimate(long), estimate(1.0)],
            to_best: estimate(mean / 0.7),
        }
    }

    #[test]
    fn goals() {
        let of = |again, policy, long| {
            verdict(
                Load::Functions,
                &[
                    compared("stock", Kind::Stock, 1.0, 1.0),
                    compared("stock again", Kind::Again, again, 1.0),
                    compared("slice", Kind::Static, 0.7, 1.0),
                    compared("p", Kind::Policy, policy, long),
                ],
            )
        };

        assert!(!of(1.0, 0.5, 1.0).contains("NOT"));
        assert_eq!(of(1.0, 0.65, 1.0).matches("NOT").count(), 1);
        assert_eq!(of(1.0, 0.7, 1.2).matches("NOT").count(), 3);
        assert!(of(1.05, 0.5, 1.0).contains("what differs by less is no claim"));
        assert!(!of(1.05, 0.5, 1.0).contains("NOT"));
        // Met by less than what stock differs from itself by.
        assert_eq!(of(1.05, 0.58, 1.0).matches("NOT").count(), 1);
        assert!(verdict(Load::Functions, &[]).contains("no claim"));
    }

    #[test]
    fn more_is_better() {
        let all = |policy| {
            [
                compared("stock again", Kind::Again, 1.0, 1.0),
                compared("slow", Kind::Static, 0.7, 1.0),
                compared("fast", Kind::Static, 1.2, 1.0),
                compared("p", Kind::Policy, policy, 1.0),
            ]
        };

        assert_eq!(best(Load::Locks, &all(2.0)).unwrap().name, "fast");
        assert_eq!(best(Load::Functions, &all(2.0)).unwrap().name, "slow");
        assert!(!verdict(Load::Locks, &all(1.6)).contains("NOT"));
        assert_eq!(verdict(Load::Locks, &all(1.4)).matches("NOT").count(), 1);
        assert_eq!(verdict(Load::Locks, &all(0.6)).matches("NOT").count(), 2);
    }

    fn results() -> Results {
        let one = |length_ns, duration_ns| Invocation {
            length_ns,
            wait_ns: 1,
            duration_ns,
        };
        let mut results = Results {
            load: Load::Functions,
            seed: 1,
            seconds: 5,
            settings: [("stock", Kind::Stock), ("stock again", Kind::Again)]
                .map(|(name, kind)| (name.to_string(), kind, Vec::new()))
                .into(),
        };

        for setting in 0..2 {
            for round in 0..3 {
                let seen = Seen {
                    functions: vec![one(1, 1_000_000), one(LONG_NS, 3_000_000)],
                    bystander: vec![one(1, 2)],
                };
                results.add(
                    setting,
                    Measured::new(round, 0, 7, Duration::from_secs(5), &seen).unwrap(),
                );
            }
        }
        results
    }

    #[test]
    fn as_many_csv_fields_in_each_row() {
        let csv = results().csv().unwrap();
        let fields: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();

        assert_eq!(fields, [16; 7]);
    }

    #[test]
    fn tables() {
        let results = results();
        let compared = results.compared().unwrap();
        let text = results.markdown(&compared).unwrap();

        assert!(text.contains("| stock | 2.000 |"), "{text}");
        assert!(text.contains("| stock again | 1.000 (1.000 to 1.000) |"));
        assert!(text.contains("long_p99: not to be relied on, as 0.0 of 3 values"));
    }
}
