// SPDX-License-Identifier: GPL-2.0

//! What was measured of each setting, as CSV and as a table, and which goals are met.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::arrivals::{self, LONG_NS};
use crate::functions::{Invocation, Seen};
use crate::setting::{Kind, Setting};
use crate::stats::{self, Estimate, Figure, Run};

/// Of the functions: the mean duration is at most this part of stock's.
const GOAL_MEAN: f64 = 0.6;

/// Of the long functions: the p99 of the duration is at most this part of stock's.
const GOAL_LONG: f64 = 1.1;

/// A p99 of fewer values than this is no figure to rely on.
const ENOUGH: u64 = 1000;

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
}

impl Measured {
    /// What a run in `round`, the `place`-th there, by the load's `seed` has seen.
    pub fn new(round: u32, place: usize, seed: u64, seen: &Seen) -> Result<Self> {
        let durations = |all: &[Invocation], least: u64| {
            let of = all.iter().filter(move |i| i.length_ns >= least);
            Run::new(of.map(|i| i.duration_ns))
        };

        Ok(Self {
            round,
            place,
            seed,
            duration: durations(&seen.functions, 0)?,
            long: durations(&seen.functions, LONG_NS)?,
            wait: Run::new(seen.functions.iter().map(|i| i.wait_ns))?,
            bystander: Run::new(seen.bystander.iter().map(|i| i.wait_ns))?,
        })
    }

    fn values(&self, of: Values) -> &Run {
        match of {
            Values::Duration => &self.duration,
            Values::Long => &self.long,
            Values::Wait => &self.wait,
            Values::Bystander => &self.bystander,
        }
    }
}

/// A column of the tables: its name, and what it is a figure of.
type Column = (&'static str, Values, Figure);

const COLUMNS: [Column; 10] = [
    ("mean", Values::Duration, Figure::Mean),
    ("p50", Values::Duration, Figure::Quantile(0.5)),
    ("p90", Values::Duration, Figure::Quantile(0.9)),
    ("p99", Values::Duration, Figure::Quantile(0.99)),
    ("p99.9", Values::Duration, Figure::Quantile(0.999)),
    ("max", Values::Duration, Figure::Max),
    ("long_p99", Values::Long, Figure::Quantile(0.99)),
    ("wait_p99", Values::Wait, Figure::Quantile(0.99)),
    ("bystander_p99", Values::Bystander, Figure::Quantile(0.99)),
    ("bystander_max", Values::Bystander, Figure::Max),
];

/// All runs of all settings.
pub struct Results {
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
    /// Ratio of the mean duration
    pub mean: Estimate,
    /// Ratio of the p99 of the long ones
    pub long: Estimate,
    /// Ratio of the longest wait of the bystander
    pub bystander: Estimate,
}

impl Results {
    /// Of runs of `seconds`, in an order that follows from `seed`.
    pub fn new(seed: u64, seconds: u64, settings: &[Setting]) -> Self {
        Self {
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
        let stock = &self.of(Kind::Stock)?.2;
        let ratio = |all: &[Measured], of, what| {
            stats::ratio(what, &runs(all, of), &runs(stock, of), self.seed)
        };

        self.settings
            .iter()
            .map(|(name, kind, all)| {
                Ok(Compared {
                    name,
                    kind: *kind,
                    mean: ratio(all, Values::Duration, Figure::Mean)?,
                    long: ratio(all, Values::Long, Figure::Quantile(0.99))?,
                    bystander: ratio(all, Values::Bystander, Figure::Max)?,
                })
            })
            .collect()
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
        let head = ["setting", "round", "place", "seed", "functions", "long"];

        out.write_record(
            head.iter()
                .map(ToString::to_string)
                .chain(COLUMNS.iter().map(|(name, ..)| format!("{name}_us"))),
        )?;
        for (name, _, runs) in &self.settings {
            for run in runs {
                out.write_field(name)?;
                for number in [
                    u64::from(run.round),
                    run.place as u64,
                    run.seed,
                    run.duration.len(),
                    run.long.len(),
                ] {
                    out.write_field(number.to_string())?;
                }
                for (_, of, what) in COLUMNS {
                    let ns = stats::figure(what, std::iter::once(run.values(of)))?;
                    out.write_field(format!("{:.1}", ns / 1e3))?;
                }
                out.write_record(None::<&[u8]>)?;
            }
        }
        Ok(String::from_utf8(out.into_inner()?)?)
    }

    /// Tables of the figures and of the ratios to stock, and the goals.
    pub fn markdown(&self) -> Result<String> {
        let mut out = String::new();
        let stock = &self.of(Kind::Stock)?.2;
        let count = |of| stock.iter().map(|run| run.values(of).len()).sum::<u64>();

        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "Functions of widely spread length on one CPU: {} runs of {} s, seed {}; {} functions \
             for each setting, of {:.1} ms on average, {} of them long (from {} ms on). Figures \
             of all runs together, in milliseconds.\n",
            stock.len(),
            self.seconds,
            self.seed,
            count(Values::Duration),
            arrivals::mean_length_ns() / 1e6,
            count(Values::Long),
            LONG_NS / 1_000_000,
        );
        let _ = write!(out, "| setting |");
        for (name, ..) in COLUMNS {
            let _ = write!(out, " {name} |");
        }
        let _ = writeln!(out, "\n|{}", " --- |".repeat(COLUMNS.len() + 1));
        for (name, _, runs) in &self.settings {
            let _ = write!(out, "| {name} |");
            for (_, of, what) in COLUMNS {
                let ns = stats::figure(what, runs.iter().map(|run| run.values(of)))?;
                let _ = write!(out, " {:.2} |", ns / 1e6);
            }
            let _ = writeln!(out);
        }

        let compared = self.compared()?;
        let _ = writeln!(
            out,
            "\nRatios to stock, with 95 % intervals of the bootstrap over runs:\n\n\
             | setting | mean | long_p99 | bystander_max |\n| --- | --- | --- | --- |"
        );
        for c in &compared {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                c.name,
                text(c.mean),
                text(c.long),
                text(c.bystander)
            );
        }
        let _ = writeln!(out, "\n{}", verdict(&compared));
        if count(Values::Long) < ENOUGH {
            let _ = writeln!(
                out,
                "\nThe p99 of the long ones is of {} values: not to be relied on.",
                count(Values::Long)
            );
        }
        Ok(out)
    }
}

fn text(e: Estimate) -> String {
    format!("{:.3} ({:.3} to {:.3})", e.value, e.low, e.high)
}

/// What can be claimed: nothing where stock differs from itself.
fn verdict(compared: &[Compared]) -> String {
    let Some(again) = compared.iter().find(|c| c.kind == Kind::Again) else {
        return "Stock was not measured twice: no claim.".to_string();
    };
    if !again.mean.may_be_one() || !again.long.may_be_one() {
        return format!(
            "Stock differs from itself (mean {}, long_p99 {}): no claim.",
            text(again.mean),
            text(again.long)
        );
    }
    let best = compared
        .iter()
        .filter(|c| c.kind == Kind::Static)
        .min_by(|a, b| a.mean.value.total_cmp(&b.mean.value));
    let mut out = "Stock does not differ from itself.".to_string();

    if let Some(best) = best {
        let _ = write!(
            out,
            " The static setting with the lowest mean is {}.",
            best.name
        );
    }
    for c in compared.iter().filter(|c| c.kind == Kind::Policy) {
        let met = |goal: bool| if goal { "met" } else { "NOT met" };
        // The whole interval has to be on the right side.
        let _ = write!(
            out,
            "\n- {}: mean at most {GOAL_MEAN} of stock {}; below the best static setting {}; \
             long_p99 at most {GOAL_LONG} of stock {}.",
            c.name,
            met(c.mean.high <= GOAL_MEAN),
            met(best.is_some_and(|best| c.mean.high < best.mean.low)),
            met(c.long.high <= GOAL_LONG),
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
            mean: estimate(mean),
            long: estimate(long),
            bystander: estimate(1.0),
        }
    }

    #[test]
    fn goals() {
        let of = |again, policy, long| {
            verdict(&[
                compared("stock", Kind::Stock, 1.0, 1.0),
                compared("stock again", Kind::Again, again, 1.0),
                compared("slice", Kind::Static, 0.7, 1.0),
                compared("p", Kind::Policy, policy, long),
            ])
        };

        assert!(!of(1.0, 0.5, 1.0).contains("NOT"));
        assert_eq!(of(1.0, 0.65, 1.0).matches("NOT").count(), 1);
        assert_eq!(of(1.0, 0.695, 1.2).matches("NOT").count(), 3);
        assert!(of(1.05, 0.5, 1.0).contains("no claim"));
        assert!(verdict(&[]).contains("no claim"));
    }

    fn results() -> Results {
        let one = |length_ns, duration_ns| Invocation {
            length_ns,
            wait_ns: 1,
            duration_ns,
        };
        let mut results = Results {
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
                results.add(setting, Measured::new(round, 0, 7, &seen).unwrap());
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
        let text = results().markdown().unwrap();

        assert!(text.contains("| stock | 2.00 |"), "{text}");
        assert!(text.contains("| stock again | 1.000 (1.000 to 1.000) |"));
        assert!(text.contains("of 3 values: not to be relied on"));
    }
}
