// SPDX-License-Identifier: GPL-2.0

//! The report of a trial: text, JSON, HTML.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use sched_bpf_statistics::{ratios, windows, Estimate, Row};
use serde::Serialize;

use super::analysis::{self, Compared, ALPHA};
use super::arms::Shadowed;
use super::measure::Measured;
use super::plan::{Arm, Phase, Window};
use super::{blocks, Trial};
use crate::args::AbArgs;
use crate::metric::Metric;
use crate::output::{print_error, Output};

/// A window that was measured.
pub struct Seen {
    /// The window
    pub window: Window,
    /// Its begin, in seconds from the begin of the trial
    pub at_s: f64,
    /// False if the trial ended in it
    pub whole: bool,
    /// Its measurements
    pub measured: Measured,
}

/// Why a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "end", content = "why")]
pub enum End {
    /// All windows were run
    Planned,
    /// The primary metric differs, as --early asks
    Early,
    /// A differs from itself in these
    Differs(Vec<Metric>),
    /// A guard was hit
    Guard(String),
    /// A policy was not in force any more
    Lost(String),
    /// Something failed
    Failed(String),
    /// A signal came
    Signal,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Planned => f.write_str("all windows were run"),
            Self::Early => f.write_str("ended early: the primary metric differs"),
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
    shadow_s: f64,
    shadow: Vec<Shadowed>,
    same: Vec<Compared>,
    trial: Vec<Compared>,
    windows: Vec<WindowRow>,
}

impl Report {
    /// Make that of a trial which has ended. `names` are target and measured tasks.
    pub(super) fn new(
        trial: &Trial,
        names: [String; 2],
        seed: u64,
        shadow: Vec<Shadowed>,
        end: End,
    ) -> Self {
        let args = trial.args;
        let metrics = trial.sources.metrics();
        let same_blocks = blocks(&trial.seen, Phase::Same);
        let same = analysis::same(&metrics, &same_blocks);
        let same_passed =
            same_blocks.len() == args.aa_blocks as usize && analysis::differing(&same).is_empty();
        let compared = if same_passed {
            let blocks = blocks(&trial.seen, Phase::Trial);
            analysis::compare_all(&metrics, args.metric, &blocks)
        } else {
            Vec::new()
        };
        let values = |measured: &Measured| {
            let value = |m: &Metric| (m.name(), m.of(std::iter::once(measured)));
            metrics.iter().map(value).collect()
        };
        let [target, measured] = names;

        Self {
            a: trial.arms.name(Phase::Trial, Arm::A),
            a_again: trial.arms.name(Phase::Same, Arm::B),
            b: trial.arms.name(Phase::Trial, Arm::B),
            target,
            measured,
            primary: args.metric,
            seed,
            window_s: args.window.as_secs_f64(),
            burn_in_s: args.burn_in.as_secs_f64(),
            gap: trial.arms.has_gap(),
            end,
            same_passed,
            shadow_s: args.shadow.as_secs_f64(),
            shadow,
            same,
            trial: compared,
            windows: trial
                .seen
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

    fn planned(&self) -> bool {
        self.end == End::Planned
    }

    fn status_number(&self) -> u8 {
        match self.end {
            End::Planned | End::Early => {
                let mut primary = self.trial.iter().filter(|c| c.metric == self.primary);
                u8::from(primary.any(|c| c.differs(self.planned())))
            }
            End::Guard(_) => 1,
            _ => 2,
        }
    }

    /// Return the exit status.
    pub fn status(&self) -> ExitCode {
        ExitCode::from(self.status_number())
    }

    /// Print it, and write the HTML.
    pub fn write(&self, args: &AbArgs, out: Output) -> Result<()> {
        if let Some(path) = &args.html {
            fs::write(path, self.html()?).with_context(|| format!("--html {}", path.display()))?;
        }
        out.print(self, &self.text())?;
        if !matches!(self.end, End::Planned | End::Early) {
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
        for s in &self.shadow {
            let _ = writeln!(
                out,
                "In shadow mode for {} s, {:?} ({}) {}: {} of {} results would have changed \
                 something.",
                self.shadow_s, s.arm, s.policy, s.hook, s.differ, s.calls
            );
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
                if self.same_passed {
                    "no difference"
                } else {
                    "NOT passed"
                },
            );
            out += &table(&self.same, "A again", true);
        }
        if !self.trial.is_empty() {
            let _ = writeln!(
                out,
                "\nA with B, {} blocks. {percent:.0} % intervals {}, of the primary metric and of \
                 the others together.",
                blocks(&self.trial).unwrap_or(0),
                if self.planned() {
                    "after all blocks"
                } else {
                    "for an end at any time"
                }
            );
            out += &table(&self.trial, "B", self.planned());
            out.push('\n');
            self.verdict(&mut out);
        }
        let _ = writeln!(out, "\nEnd: {}.", self.end);
        out
    }

    /// Write which metrics differ.
    fn verdict(&self, out: &mut String) {
        for c in &self.trial {
            let e = c.interval(self.planned());
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
            if c.differs(self.planned()) && same.is_some_and(|same| same.change.holds(e.value)) {
                // Its blocks may be too few, or a rare event was among them.
                out.push_str(", but A may differ from itself as much");
            }
            if c.left_out > 0 {
                let _ = write!(out, " ({} blocks without a value)", c.left_out);
            }
            out.push('\n');
        }
    }

    /// Return one file that needs no other.
    fn html(&self) -> Result<String> {
        let mut plots = Vec::new();

        for (title, all) in [
            ("B to A, with intervals", &self.trial),
            ("A again to A, with intervals", &self.same),
        ] {
            let known: Vec<(&Compared, [Estimate; 1])> = all
                .iter()
                .filter_map(|c| Some((c, [c.as_ratio()?])))
                .collect();
            let rows: Vec<Row> = known
                .iter()
                .map(|(c, ratios)| Row {
                    name: c.metric.name(),
                    ratios,
                })
                .collect();
            if !rows.is_empty() {
                plots.push(ratios(title, "A", &["change"], &rows)?);
            }
        }
        for c in &self.same {
            plots.push(self.plot_of(c.metric)?);
        }
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <title>sched-bpf ab: {a}, {b}</title>\n<style>body {{ font-family: sans-serif; \
             max-width: 60em; margin: 2em auto }} svg {{ max-width: 100%; height: auto }}</style>\n\
             </head><body>\n<h1>{a} and {b}</h1>\n<pre>{text}</pre>\n{plots}\n</body></html>\n",
            a = escape(&self.a),
            b = escape(&self.b),
            text = escape(&self.text()),
            plots = plots.join("\n")
        ))
    }

    /// Plot a metric in each window.
    fn plot_of(&self, metric: Metric) -> Result<String> {
        let points = |of: fn(&Window) -> bool| -> Vec<(f64, f64)> {
            self.windows
                .iter()
                .filter(|w| of(&w.window))
                .filter_map(|w| {
                    let value = w.values.get(metric.name())?;
                    Some((w.at_s, (*value)?))
                })
                .collect()
        };
        let series = [
            ("A", points(|w| w.arm == Arm::A)),
            ("B", points(|w| w.arm == Arm::B && w.phase == Phase::Trial)),
            (
                "A again",
                points(|w| w.arm == Arm::B && w.phase == Phase::Same),
            ),
        ];

        windows(&format!("{metric} by window"), metric.name(), &series)
    }
}

/// Escape a text for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
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
        return "unknown yet".to_string();
    }
    let sign = |n: f64| match ratio {
        true => format!("x{}", number(n)),
        false if n >= 0.0 => format!("+{}", number(n)),
        false => number(n),
    };
    format!("{} ({} to {})", sign(e.value), sign(e.low), sign(e.high))
}

fn table(all: &[Compared], b: &str, planned: bool) -> String {
    let mut out = format!("{:<17} {:>11} {:>11}  CHANGE\n", "METRIC", "A", b);

    for c in all {
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{:<17} {:>11} {:>11}  {}",
            c.metric,
            number(c.a),
            number(c.b),
            change(c.ratio, c.interval(planned))
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(metric: Metric, value: f64) -> Compared {
        let change = Estimate {
            value,
            low: value - 0.1,
            high: value + 0.1,
        };
        Compared {
            metric,
            a: 10.0,
            b: 20.0,
            ratio: metric.is_ratio(),
            blocks: 4,
            left_out: 0,
            change,
            at_any_time: Estimate {
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
                ..change
            },
        }
    }

    fn report(end: End, same_passed: bool) -> Report {
        let trial = [
            compared(Metric::WakeupP99Us, 2.0),
            compared(Metric::WaitMsPerS, -0.05),
        ];
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
            shadow_s: 10.0,
            shadow: vec![Shadowed {
                arm: Arm::B,
                policy: "b".into(),
                hook: "cfs_slice".into(),
                calls: 9,
                differ: 0,
            }],
            same: vec![compared(Metric::WakeupP99Us, 1.0)],
            trial: if same_passed {
                trial.into()
            } else {
                Vec::new()
            },
            windows: vec![WindowRow {
                window: Window {
                    phase: Phase::Trial,
                    block: 0,
                    arm: Arm::A,
                },
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

    #[test]
    fn nothing_is_said_of_b_if_a_differs_from_itself() {
        let differs = report(End::Differs(vec![Metric::WakeupP99Us]), false);
        let text = differs.text();

        assert!(text.contains("NOT passed") && !text.contains("under B"));
        assert!(differs.html().unwrap().contains("A again to A"));
    }

    #[test]
    fn an_early_end_uses_the_other_interval() {
        let text = report(End::Guard("x".into()), true).text();

        assert!(text.contains("wakeup_p99_us (primary): no difference found"));
        assert!(text.contains("unknown yet") && text.contains("a guard was hit: x"));
    }

    /// The window in which a guard was hit is in the report.
    #[test]
    fn json() {
        let json = serde_json::to_value(report(End::Guard("x".into()), true)).unwrap();

        assert_eq!((&json["end"], &json["why"]), (&"guard".into(), &"x".into()));
        assert_eq!(json["trial"][0]["metric"], "wakeup_p99_us");
        assert!(json["trial"][0]["at_any_time"]["low"].is_null());
        assert_eq!(json["windows"][0]["whole"], false);
        assert_eq!(json["windows"][0]["values"]["wakeup_p99_us"], 3.0);
    }

    #[test]
    fn html_is_one_file() {
        let html = report(End::Planned, true).html().unwrap();

        assert!(html.contains("<svg") && html.contains("&lt;b&gt;"));
        assert!(!html.contains("src=") && !html.contains("<link"));
    }
}
