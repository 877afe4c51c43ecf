// SPDX-License-Identifier: GPL-2.0

//! The figures of all runs as CSV, and ratios of settings to stock as a table.

use std::fmt::Write;

use anyhow::{Context, Result};
use sched_bpf_statistics::{figure, ratio, Estimate, Figure, Run};

use crate::seen::{Invocation, Seen};
use crate::setting::{Kind, Setting};

/// A kind of values that runs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Duration,
    Wait,
    /// Waits of the other part
    Held,
    /// The work without that of the other part, one value for each run
    Served,
    /// The work of the other part, one value for each run
    Beside,
}

/// A column of the table: its name, and what it is a figure of.
pub type Column = (&'static str, Values, Figure);

const fn q(part: f64) -> Figure {
    Figure::Quantile(part)
}

/// The figures of a load. The first is the one that it is about.
const COLUMNS: &[Column] = &[
    ("served", Values::Served, Figure::Mean),
    ("p50", Values::Duration, q(0.5)),
    ("p99", Values::Duration, q(0.99)),
    ("wait_p99", Values::Wait, q(0.99)),
    ("beside", Values::Beside, Figure::Mean),
    ("held_p99", Values::Held, q(0.99)),
    ("held_max", Values::Held, Figure::Max),
];

/// What the table is about.
const ABOUT: &str =
    "Requests to a service next to as many CPU-bound threads, on one CPU: the work of those that \
     ended, their durations, and their time in the queue; the work of the other threads, and \
     delays of a piece of 1 ms of it";

/// A run: when it was, and its values.
pub struct Measured {
    round: u32,
    place: usize,
    seed: u64,
    seen: Seen,
}

impl Measured {
    /// What a run in `round`, the `place`-th there, by the load's `seed` has seen.
    pub fn new(round: u32, place: usize, seed: u64, seen: Seen) -> Self {
        Self { round, place, seed, seen }
    }

    fn values(&self, of: Values) -> Result<Run> {
        let Seen { functions, bystander } = &self.seen;
        let work = |all: &[Invocation]| all.iter().map(|i| i.length_ns).sum::<u64>();
        let one = |value| Run::new(std::iter::once(value));

        match of {
            Values::Duration => Run::new(functions.iter().map(|i| i.duration_ns)),
            Values::Wait => Run::new(functions.iter().map(|i| i.wait_ns)),
            Values::Held => Run::new(bystander.iter().map(|i| i.wait_ns)),
            Values::Served => one(work(functions)),
            Values::Beside => one(work(bystander)),
        }
    }
}

/// All runs of all settings.
pub struct Results {
    seed: u64,
    seconds: u64,
    settings: Vec<(String, Kind, Vec<Measured>)>,
}

impl Results {
    /// Of runs of `seconds`, in an order that follows from `seed`.
    pub fn new(seed: u64, seconds: u64, settings: &[Setting]) -> Self {
        let settings = settings.iter().map(|s| (s.name.clone(), s.kind, Vec::new())).collect();

        Self { seed, seconds, settings }
    }

    /// Adds a run of the setting of that number.
    pub fn add(&mut self, setting: usize, measured: Measured) {
        self.settings[setting].2.push(measured);
    }

    /// A row for each run: figures in microseconds.
    pub fn csv(&self) -> Result<String> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let head = ["setting", "round", "place", "seed"].map(String::from).into_iter();

        out.write_record(head.chain(COLUMNS.iter().map(|(name, ..)| format!("{name}_us"))))?;
        for (name, _, runs) in &self.settings {
            for run in runs {
                let mut row = vec![name.clone()];
                row.extend([run.round.into(), run.place as u64, run.seed].map(|n| n.to_string()));
                for (_, of, what) in COLUMNS {
                    // A short run may have no value of a kind.
                    let ns = figure(*what, std::iter::once(&run.values(*of)?));
                    row.push(ns.map_or(String::new(), |ns| format!("{:.1}", ns / 1e3)));
                }
                out.write_record(row)?;
            }
        }
        Ok(String::from_utf8(out.into_inner()?)?)
    }

    /// How often an interval misses the truth: any of those of policies does with probability
    /// 0.05 together (Bonferroni).
    fn alpha(&self) -> f64 {
        let policies = self.settings.iter().filter(|(_, kind, _)| *kind == Kind::Policy);

        0.05 / (policies.count() * COLUMNS.len()).max(1) as f64
    }

    /// A table of the ratios of all settings to stock. Stock itself is shown in milliseconds.
    pub fn markdown(&self) -> Result<String> {
        let mut out = String::new();
        let (_, _, stock) =
            self.settings.iter().find(|(_, kind, _)| *kind == Kind::Stock).context("no stock")?;

        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{}. {} runs of {} s of each setting, seed {}. Stock is in milliseconds, the others \
             are ratios to it, with intervals of Student's t over runs, so wide that those of the \
             policies hold together with 95 % ({:.2} % each).\n",
            ABOUT,
            stock.len(),
            self.seconds,
            self.seed,
            100.0 * (1.0 - self.alpha())
        );
        let names: Vec<_> = COLUMNS.iter().map(|(name, ..)| *name).collect();
        let _ = writeln!(out, "| setting | {} |", names.join(" | "));
        let _ = writeln!(out, "|{}", " --- |".repeat(COLUMNS.len() + 1));
        for (name, kind, runs) in &self.settings {
            let mut row = vec![name.clone()];
            for (_, of, what) in COLUMNS {
                let values = |all: &[Measured]| -> Result<Vec<Run>> {
                    all.iter().map(|run| run.values(*of)).collect()
                };
                let (runs, stock) = (values(runs)?, values(stock)?);
                row.push(match kind {
                    Kind::Stock => format!("{:.3} ms", figure(*what, runs.iter())? / 1e6),
                    _ => text(ratio(*what, &runs, &stock, self.alpha())?),
                });
            }
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
        Ok(out)
    }
}

fn text(e: Estimate) -> String {
    // Of a maximum, and of one run, there is no interval.
    match e.high.is_infinite() {
        true => format!("{:.3}", e.value),
        false => format!("{:.3} ({:.3} to {:.3})", e.value, e.low, e.high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let one = |length_ns, duration_ns| Invocation { length_ns, wait_ns: 1, duration_ns };
        let mut results = Results {
            seed: 1,
            seconds: 5,
            settings: [("stock", Kind::Stock), ("p", Kind::Policy)]
                .map(|(name, kind)| (name.to_string(), kind, Vec::new()))
                .into(),
        };
        for (setting, duration) in [(0, 4_000_000), (1, 2_000_000)] {
            for round in 0..3 {
                let seen =
                    Seen { functions: vec![one(duration, duration)], bystander: vec![one(1, 2)] };
                results.add(setting, Measured::new(round, 0, 7, seen));
            }
        }

        let text = results.markdown().unwrap();
        assert!(text.contains("| stock | 4.0"), "{text}");
        assert!(text.contains("| p | 0.500 (0.500 to 0.500) |"), "{text}");
        let csv = results.csv().unwrap();
        let fields: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(fields, [11; 7]);
    }
}
