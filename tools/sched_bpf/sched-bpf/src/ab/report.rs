// SPDX-License-Identifier: GPL-2.0

//! What a trial found: text, JSON, HTML.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;

use anyhow::{Context, Result};
use comfy_table::{presets, CellAlignment, Table};
use sched_bpf_stats::{ratios, windows, Estimate, Row};
use serde::Serialize;

use super::analysis::{self, Compared, ALPHA};
use super::arms::Shadowed;
use super::measure::{Measured, Metric};
use super::plan::{Arm, Phase, Window};
use super::{blocks, Trial};
use crate::cli::AbArgs;

/// A window that was measured.
pub struct Seen {
    /// Which
    pub window: Window,
    /// When it began, in seconds from the begin of the trial
    pub at_s: f64,
    /// What was measured
    pub measured: Measured,
}

/// Why a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "end", content = "why")]
pub enum End {
    /// All windows were run
    Planned,
    /// What --until asks for is known
    Known(Metric),
    /// A differs from itself in these
    Differs(Vec<Metric>),
    /// A bound was not kept
    Guard(String),
    /// A policy was not attached any more
    Detached(String),
    /// Something could not be done or measured any more
    Failed(String),
    /// A signal came
    Signal,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Planned => f.write_str("all windows were run"),
            Self::Known(metric) => write!(f, "ended early, as asked: {metric} differs"),
            Self::Differs(metrics) => {
                let names: Vec<_> = metrics.iter().map(|metric| metric.name()).collect();
                write!(
                    f,
                    "A differs from itself in {}: what is measured depends on more than the \
                     policy, so nothing is said of B; longer windows or more blocks may help",
                    names.join(", ")
                )
            }
            Self::Guard(what) => write!(f, "ended and detached by a bound: {what}"),
            Self::Detached(why) => f.write_str(why),
            Self::Failed(why) => write!(f, "ended and detached, as it could not go on: {why}"),
            Self::Signal => f.write_str("ended and detached by a signal"),
        }
    }
}

/// A window in the report.
#[derive(Serialize)]
struct WindowRow {
    #[serde(flatten)]
    window: Window,
    at_s: f64,
    /// By the names of metrics
    values: BTreeMap<&'static str, Option<f64>>,
}

/// What a trial found.
#[derive(Serialize)]
pub struct Report {
    a: String,
    b: String,
    /// Whom the policies are for
    target: String,
    /// Whose waits were measured
    measured: String,
    seed: u64,
    window_s: f64,
    burn_in_s: f64,
    /// From one policy to the other there was a time without any
    gap: bool,
    #[serde(flatten)]
    end: End,
    /// Nothing was claimed unless this is true
    same_passed: bool,
    shadow_s: f64,
    shadow: Vec<Shadowed>,
    same: Vec<Compared>,
    trial: Vec<Compared>,
    windows: Vec<WindowRow>,
}

impl Report {
    /// Of a trial that has ended.
    pub(super) fn new(
        args: &AbArgs,
        trial: &Trial,
        measured: &str,
        target: &str,
        seed: u64,
        shadow: Vec<Shadowed>,
        end: End,
    ) -> Result<Self> {
        let same_blocks = blocks(&trial.seen, Phase::Same);
        let same = analysis::same(&trial.metrics, &same_blocks, seed)?;
        let same_passed =
            same_blocks.len() == args.aa_blocks as usize && analysis::differing(&same).is_empty();
        let compared = if same_passed {
            let blocks = blocks(&trial.seen, Phase::Trial);
            analysis::compare_all(&trial.metrics, &blocks, seed, ALPHA)?
        } else {
            Vec::new()
        };

        Ok(Self {
            a: trial.arms.name(Arm::A),
            b: trial.arms.name(Arm::B),
            target: target.to_string(),
            measured: measured.to_string(),
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
                    values: trial
                        .metrics
                        .iter()
                        .map(|m| (m.name(), m.of(std::iter::once(&seen.measured))))
                        .collect(),
                })
                .collect(),
        })
    }

    /// Why the trial failed; none if it came to an end that was asked for.
    pub fn failure(&self) -> Option<String> {
        (!matches!(self.end, End::Planned | End::Known(_))).then(|| self.end.to_string())
    }

    /// Prints it, and writes what else was asked for.
    pub fn write(&self, args: &AbArgs) -> Result<()> {
        if let Some(path) = &args.html {
            fs::write(path, self.html()?).with_context(|| format!("--html {}", path.display()))?;
        }
        crate::print(&if args.json {
            serde_json::to_string_pretty(self)? + "\n"
        } else {
            self.text()
        })
    }

    /// What was done.
    fn about(&self) -> String {
        let mut out = format!(
            "A: {}. B: {}. Policies for {}, measured of {}.\nWindows of {} s, of which the first \
             {} s are discarded; seed {}.\n",
            self.a, self.b, self.target, self.measured, self.window_s, self.burn_in_s, self.seed
        );
        if self.gap {
            out += "One has several tables: between A and B none was attached for a moment.\n";
        }
        out
    }

    /// What policies would have changed.
    fn shadowed(&self) -> String {
        let mut out = String::new();

        for s in &self.shadow {
            // Writing to a string does not fail.
            let _ = writeln!(
                out,
                "In the shadow for {} s, {:?} ({}) {}: {} of {} answers would have changed \
                 something.",
                self.shadow_s, s.arm, s.policy, s.hook, s.differ, s.calls
            );
        }
        if !self.shadow.is_empty() && self.shadow.iter().all(|s| s.differ == 0) {
            out += "No answer would have changed anything.\n";
        }
        out
    }

    fn text(&self) -> String {
        let mut out = self.about() + &self.shadowed();

        if !self.same.is_empty() {
            out +=
                &format!(
                "\nA with itself, {} blocks: {}. Intervals of {:.0} % for all metrics together.\n",
                self.same.iter().map(|c| c.blocks + c.left_out).max().unwrap_or(0),
                if self.same_passed {
                    "no difference"
                } else {
                    "NOT passed"
                },
                100.0 * (1.0 - ALPHA)
            );
            out += &table(&self.same, "A again", false);
        }
        if !self.trial.is_empty() {
            out +=
                &format!(
                "\nA with B, {} blocks. Intervals of {:.0} %, of each metric: after all blocks, \
                 and valid whenever looked at.\n",
                self.trial.iter().map(|c| c.blocks + c.left_out).max().unwrap_or(0),
                100.0 * (1.0 - ALPHA)
            );
            out += &table(&self.trial, "B", true);
            out += &self.verdict();
        }
        out + &format!("\nEnd: {}.\n", self.end)
    }

    /// In which metrics B differs, by the interval that may be taken for the way it ended.
    fn verdict(&self) -> String {
        let planned = self.end == End::Planned;
        let mut out = String::from("\n");

        for c in &self.trial {
            let e = if planned { c.change } else { c.at_any_time };
            let what = if e.low > c.none() {
                "higher under B"
            } else if e.high < c.none() {
                "lower under B"
            } else {
                "no difference found"
            };
            let _ = write!(out, "{}: {what}", c.metric);
            let same = self.same.iter().find(|same| same.metric == c.metric);
            if !e.holds(c.none()) && same.is_some_and(|same| same.change.holds(e.value)) {
                // Its blocks may be too few, or a rare event was among them.
                out.push_str(", but for all that is known A may differ from itself as much");
            }
            if c.left_out > 0 {
                let _ = write!(out, " ({} blocks without a value)", c.left_out);
            }
            out.push('\n');
        }
        if !planned {
            out += "By the second interval, as the trial ended before its time.\n";
        }
        out
    }

    /// One file that needs no other.
    fn html(&self) -> Result<String> {
        let mut plots = Vec::new();

        for (phase, title, all) in [
            (Phase::Trial, "B to A, with intervals", &self.trial),
            (Phase::Same, "A again to A, with intervals", &self.same),
        ] {
            let known: Vec<(&Compared, [Estimate; 1])> = all
                .iter()
                .filter_map(|c| Some((c, [c.as_ratio(c.change)?])))
                .collect();
            if known.is_empty() {
                continue;
            }
            let rows: Vec<Row> = known
                .iter()
                .map(|(c, ratios)| Row {
                    name: c.metric.name(),
                    ratios,
                })
                .collect();
            plots.push(ratios(title, "A", &["change"], &rows)?);
            if phase == Phase::Trial {
                for (c, _) in &known {
                    plots.push(self.plot_of(c.metric)?);
                }
            }
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

    /// A metric in each window.
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

/// What HTML takes as text.
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

fn interval(ratio: bool, e: Estimate) -> String {
    if !e.low.is_finite() || !e.high.is_finite() {
        return "unknown yet".to_string();
    }
    let sign = |n: f64| {
        if ratio {
            format!("x{}", number(n))
        } else if n >= 0.0 {
            format!("+{}", number(n))
        } else {
            number(n)
        }
    };
    format!("{} ({} to {})", sign(e.value), sign(e.low), sign(e.high))
}

fn table(all: &[Compared], b: &str, early: bool) -> String {
    let mut table = Table::new();
    let mut header = vec!["METRIC", "A", b, "CHANGE"];
    if early {
        header.push("AT ANY TIME");
    }
    table.load_preset(presets::NOTHING).set_header(header);

    for c in all {
        let mut row = vec![
            c.metric.to_string(),
            number(c.a),
            number(c.b),
            interval(c.ratio, c.change),
        ];
        if early {
            row.push(interval(c.ratio, c.at_any_time));
        }
        table.add_row(row);
    }
    for column in 1..3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
        .lines()
        .map(|line| line.trim_end().to_string() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(metric: Metric, value: f64) -> Compared {
        let e = Estimate {
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
            change: e,
            at_any_time: Estimate {
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
                ..e
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
            b: "<b>".into(),
            target: "all tasks".into(),
            measured: "/sys/fs/cgroup/web".into(),
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
                values: [("wakeup_p99_us", Some(3.0))].into(),
            }],
        }
    }

    #[test]
    fn says_what_differs() {
        let text = report(End::Planned, true).text();

        assert!(text.contains("wakeup_p99_us: higher under B"), "{text}");
        assert!(text.contains("wait_ms_per_s: no difference found"));
        assert!(text.contains("x2.000 (x1.900 to x2.100)"));
        assert!(text.contains("unknown yet"));
        assert!(text.contains("No answer would have changed anything"));
        assert!(report(End::Planned, true).failure().is_none());
        assert!(!text.contains("from itself as much"));

        let mut unsure = report(End::Planned, true);
        unsure.same[0].change.high = 3.0;
        let text = unsure.text();
        assert!(text.contains("wakeup_p99_us: higher under B, but for all that is known"));
    }

    #[test]
    fn nothing_is_claimed_where_a_differs_from_itself() {
        let differs = report(End::Differs(vec![Metric::WakeupP99Us]), false);
        let text = differs.text();

        assert!(
            text.contains("NOT passed") && !text.contains("under B"),
            "{text}"
        );
        assert!(differs.failure().unwrap().contains("wakeup_p99_us"));
        assert!(differs.html().unwrap().contains("A again to A"));
    }

    #[test]
    fn what_ended_early_goes_by_the_other_interval() {
        let text = report(End::Guard("x".into()), true).text();

        assert!(
            text.contains("wakeup_p99_us: no difference found"),
            "{text}"
        );
        assert!(text.contains("ended and detached by a bound: x"));
    }

    #[test]
    fn html_is_one_file() {
        let html = report(End::Planned, true).html().unwrap();

        assert!(html.contains("<svg") && html.contains("&lt;b&gt;"));
        assert!(!html.contains("src=") && !html.contains("<link"));
    }

    #[test]
    fn json() {
        let json = serde_json::to_value(report(End::Planned, true)).unwrap();

        assert_eq!(json["end"], "planned");
        assert_eq!(json["trial"][0]["metric"], "wakeup_p99_us");
        assert!(json["trial"][0]["at_any_time"]["low"].is_null());
        assert_eq!(json["windows"][0]["arm"], "a");
        assert_eq!(json["windows"][0]["values"]["wakeup_p99_us"], 3.0);

        let known = End::Known(Metric::WakeupP99Us);
        let json = serde_json::to_value(report(known, true)).unwrap();
        assert_eq!(
            (&json["end"], &json["why"]),
            (&"known".into(), &"wakeup_p99_us".into())
        );
    }
}
