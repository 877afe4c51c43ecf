// SPDX-License-Identifier: GPL-2.0

//! The report of a trial, as text and JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use sched_bpf_statistics::Estimate;
use serde::Serialize;

use super::analysis::{self, blocks, Compared, Seen, ALPHA};
use super::arms::Arms;
use super::measure::Measured;
use super::plan::{Arm, Phase, Window};
use crate::args::AbArgs;
use crate::metric::Metric;
use crate::output::{print_error, Output};

/// Why a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "end", content = "why")]
pub enum End {
    Planned,
    /// A differs from itself in these
    Differs(Vec<Metric>),
    Guard(String),
    /// A policy was not in force any more
    Lost(String),
    Failed(String),
    Signal,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Planned => f.write_str("all windows were run"),
            Self::Differs(metrics) => {
                let names: Vec<_> = metrics.iter().map(|metric| metric.name()).collect();
                write!(
                    f,
                    "A differs from itself in {}: the measurement has an effect of its own, so \
                     nothing is said of B; try longer windows or more blocks",
                    names.join(", ")
                )
            }
            Self::Guard(which) => write!(f, "a guard was hit: {which}"),
            Self::Lost(why) | Self::Failed(why) => f.write_str(why),
            Self::Signal => f.write_str("ended by a signal"),
        }
    }
}

/// A window in the report.
#[derive(Serialize)]
struct WindowRow {
    #[serde(flatten)]
    window: Window,
    at_s: f64,
    /// False if the trial ended in it
    whole: bool,
    /// By the names of metrics
    values: BTreeMap<&'static str, Option<f64>>,
}

/// The report.
#[derive(Serialize)]
pub struct Report {
    a: String,
    /// A in the comparison with itself, which is the placebo if A is none
    a_again: String,
    b: String,
    /// The tasks that the policies are for
    target: String,
    /// The tasks that are measured
    measured: String,
    /// The metric that the trial is about
    primary: Metric,
    seed: u64,
    window_s: f64,
    burn_in_s: f64,
    /// Between the policies none was attached for a moment
    gap: bool,
    #[serde(flatten)]
    end: End,
    /// Nothing is said of B unless this is true
    same_passed: bool,
    same: Vec<Compared>,
    trial: Vec<Compared>,
    windows: Vec<WindowRow>,
}

impl Report {
    /// Make that of a trial which has ended. `names` are target and measured tasks.
    pub fn new(
        args: &AbArgs,
        arms: &Arms,
        metrics: &[Metric],
        windows: &[Seen],
        names: [String; 2],
        seed: u64,
        end: End,
    ) -> Self {
        let same_blocks = blocks(windows, Phase::Same);
        let same = analysis::same(metrics, &same_blocks);
        let same_passed =
            same_blocks.len() == args.aa_blocks as usize && analysis::differing(&same).is_empty();
        let compared = if same_passed && end == End::Planned {
            let blocks = blocks(windows, Phase::Trial);
            analysis::compare_all(metrics, args.metric, &blocks)
        } else {
            Vec::new()
        };
        let values = |measured: &Measured| {
            let value = |m: &Metric| (m.name(), m.of(std::iter::once(measured)));
            metrics.iter().map(value).collect()
        };
        let [target, measured] = names;

        Self {
            a: arms.name(Phase::Trial, Arm::A),
            a_again: arms.name(Phase::Same, Arm::B),
            b: arms.name(Phase::Trial, Arm::B),
            target,
            measured,
            primary: args.metric,
            seed,
            window_s: args.window.as_secs_f64(),
            burn_in_s: args.burn_in.as_secs_f64(),
            gap: arms.has_gap(),
            end,
            same_passed,
            same,
            trial: compared,
            windows: windows
                .iter()
                .map(|seen| WindowRow {
                    window: seen.window,
                    at_s: seen.at_s,
                    whole: seen.whole,
                    values: values(&seen.measured),
                })
                .collect(),
        }
    }

    fn status_number(&self) -> u8 {
        match self.end {
            End::Planned => {
                let mut primary = self.trial.iter().filter(|c| c.metric == self.primary);
                u8::from(primary.any(|c| c.differs()))
            }
            End::Guard(_) => 1,
            _ => 2,
        }
    }

    /// Return the exit status.
    pub fn status(&self) -> ExitCode {
        ExitCode::from(self.status_number())
    }

    /// Print it.
    pub fn write(&self, out: Output) -> Result<()> {
        out.print(self, &self.text())?;
        if self.end != End::Planned {
            print_error(&self.end.to_string());
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut out = format!(
            "A: {}. B: {}. Policies for {}, measured of {}.\nWindows of {} s, of which the first \
             {} s are discarded; seed {}. The primary metric is {}.\n",
            self.a,
            self.b,
            self.target,
            self.measured,
            self.window_s,
            self.burn_in_s,
            self.seed,
            self.primary
        );

        // Writing to a string does not fail.
        if self.gap {
            out += "One has several policies: between A and B none was attached for a moment.\n";
        }
        let blocks = |all: &[Compared]| all.iter().map(|c| c.blocks + c.left_out).max();
        let percent = 100.0 * (1.0 - ALPHA);
        if !self.same.is_empty() {
            let _ = writeln!(
                out,
                "\nA with itself ({}), {} blocks: {}. {percent:.0} % intervals of all metrics \
                 together.",
                self.a_again,
                blocks(&self.same).unwrap_or(0),
                if self.same_passed { "no difference" } else { "NOT passed" },
            );
            out += &table(&self.same, "A again");
        }
        if !self.trial.is_empty() {
            let _ = writeln!(
                out,
                "\nA with B, {} blocks. {percent:.0} % intervals of the primary metric and of \
                 the others together.",
                blocks(&self.trial).unwrap_or(0),
            );
            out += &table(&self.trial, "B");
            out.push('\n');
            self.verdict(&mut out);
        }
        let _ = writeln!(out, "\nEnd: {}.", self.end);
        out
    }

    /// Write which metrics differ.
    fn verdict(&self, out: &mut String) {
        for c in &self.trial {
            let e = c.change;
            let which = if e.low > c.metric.none() {
                "higher under B"
            } else if e.high < c.metric.none() {
                "lower under B"
            } else {
                "no difference found"
            };
            let primary = if c.metric == self.primary { " (primary)" } else { "" };
            let _ = write!(out, "{}{primary}: {which}", c.metric);
            let same = self.same.iter().find(|same| same.metric == c.metric);
            if c.differs() && same.is_some_and(|same| same.change.holds(e.value)) {
                // Its blocks may be too few, or a rare event was among them.
                out.push_str(", but A may differ from itself as much");
            }
            if c.left_out > 0 {
                let _ = write!(out, " ({} blocks without a value)", c.left_out);
            }
            out.push('\n');
        }
    }
}

fn number(n: f64) -> String {
    match n.abs() {
        _ if !n.is_finite() => "unknown".to_string(),
        a if a >= 1e7 || (a > 0.0 && a < 0.001) => format!("{n:.1e}"),
        a if a >= 1000.0 => format!("{n:.0}"),
        a if a >= 10.0 => format!("{n:.1}"),
        _ => format!("{n:.3}"),
    }
}

fn change(ratio: bool, e: Estimate) -> String {
    if !e.low.is_finite() || !e.high.is_finite() {
        return "unknown".to_string();
    }
    let sign = |n: f64| match ratio {
        true => format!("x{}", number(n)),
        false if n >= 0.0 => format!("+{}", number(n)),
        false => number(n),
    };
    format!("{} ({} to {})", sign(e.value), sign(e.low), sign(e.high))
}

fn table(all: &[Compared], b: &str) -> String {
    let mut out = format!("{:<17} {:>11} {:>11}  CHANGE\n", "METRIC", "A", b);

    for c in all {
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{:<17} {:>11} {:>11}  {}",
            c.metric,
            number(c.a),
            number(c.b),
            change(c.ratio, c.change)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(metric: Metric, value: f64) -> Compared {
        let change = Estimate { value, low: value - 0.1, high: value + 0.1 };
        Compared {
            metric,
            a: 10.0,
            b: 20.0,
            ratio: metric.is_ratio(),
            blocks: 4,
            left_out: 0,
            change,
        }
    }

    fn report(end: End, same_passed: bool) -> Report {
        let trial = [compared(Metric::WakeupP99Us, 2.0), compared(Metric::WaitMsPerS, -0.05)];
        Report {
            a: "none".into(),
            a_again: "pass".into(),
            b: "<b>".into(),
            target: "all tasks".into(),
            measured: "/sys/fs/cgroup/web".into(),
            primary: Metric::WakeupP99Us,
            seed: 7,
            window_s: 10.0,
            burn_in_s: 2.0,
            gap: false,
            end,
            same_passed,
            same: vec![compared(Metric::WakeupP99Us, 1.0)],
            trial: if same_passed { trial.into() } else { Vec::new() },
            windows: vec![WindowRow {
                window: Window { phase: Phase::Trial, block: 0, arm: Arm::A },
                at_s: 1.0,
                whole: false,
                values: [("wakeup_p99_us", Some(3.0))].into(),
            }],
        }
    }

    #[test]
    fn text() {
        let text = report(End::Planned, true).text();

        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn statuses() {
        let status = |end, passed| report(end, passed).status_number();

        assert_eq!(status(End::Planned, true), 1);
        assert_eq!(status(End::Guard("x".into()), true), 1);
        assert_eq!(status(End::Signal, true), 2);
        assert_eq!(status(End::Differs(vec![Metric::WakeupP99Us]), false), 2);
        let mut none = report(End::Planned, true);
        none.trial[0] = compared(Metric::WakeupP99Us, 1.0);
        assert_eq!(none.status_number(), 0);
    }

    /// The window in which a guard was hit is in the report.
    #[test]
    fn json() {
        let json = serde_json::to_value(report(End::Guard("x".into()), true)).unwrap();

        assert_eq!((&json["end"], &json["why"]), (&"guard".into(), &"x".into()));
        assert_eq!(json["trial"][0]["metric"], "wakeup_p99_us");
        assert_eq!(json["windows"][0]["whole"], false);
        assert_eq!(json["windows"][0]["values"]["wakeup_p99_us"], 3.0);
    }
}
