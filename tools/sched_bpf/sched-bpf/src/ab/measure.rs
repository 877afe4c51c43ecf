// SPDX-License-Identifier: GPL-2.0

//! What is measured of a host.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};
use sched_bpf_stats::{figure, Figure, Run};
use serde::Serialize;

use crate::cli;
use crate::waits::{Counted, Waits, RESOLUTION};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// From a wakeup until the task runs, on average
    WakeupMeanUs,
    /// The same, 99th percentile
    WakeupP99Us,
    /// How long tasks waited for a CPU, all together, preempted ones too
    WaitMsPerS,
    /// The part of the time in which some task waited for a CPU
    PsiCpuPct,
    /// By how much the user's counter grew
    ThroughputPerS,
}

/// All, in the order of the report.
pub const METRICS: [Metric; 5] = [
    Metric::WakeupMeanUs,
    Metric::WakeupP99Us,
    Metric::WaitMsPerS,
    Metric::PsiCpuPct,
    Metric::ThroughputPerS,
];

impl Metric {
    /// Its name, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::WakeupMeanUs => "wakeup_mean_us",
            Self::WakeupP99Us => "wakeup_p99_us",
            Self::WaitMsPerS => "wait_ms_per_s",
            Self::PsiCpuPct => "psi_cpu_pct",
            Self::ThroughputPerS => "throughput_per_s",
        }
    }

    /// Are arms compared by the ratio, or by the difference, as what may be 0 has no ratio?
    pub fn is_ratio(self) -> bool {
        matches!(self, Self::WakeupMeanUs | Self::WakeupP99Us)
    }

    /// How much the logarithms of values are rounded to, or the values where these are
    /// compared.
    pub fn rounding(self) -> f64 {
        match self {
            Self::WakeupP99Us => RESOLUTION,
            _ => 0.0,
        }
    }

    /// Its value in windows taken together; none if it was not measured there.
    pub fn of<'a>(self, windows: impl Iterator<Item = &'a Measured> + Clone) -> Option<f64> {
        let wakeups = |what| {
            let us = figure(what, windows.clone().map(|w| &w.wakeups)).ok()? / 1e3;
            Some(us.max(1e-3))
        };
        let rate = |of: fn(&Measured) -> Option<Rate>| {
            let mut all = Rate::default();
            for window in windows.clone() {
                let rate = of(window)?;
                all.count += rate.count;
                all.seconds += rate.seconds;
            }
            (all.seconds > 0.0).then_some(all.count / all.seconds)
        };

        match self {
            Self::WakeupMeanUs => wakeups(Figure::Mean),
            Self::WakeupP99Us => wakeups(Figure::Quantile(0.99)),
            Self::WaitMsPerS => rate(|w| Some(w.wait_ms)),
            Self::PsiCpuPct => rate(|w| w.psi_pct),
            Self::ThroughputPerS => rate(|w| w.throughput),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        METRICS
            .into_iter()
            .find(|metric| metric.name() == text)
            .ok_or_else(|| {
                let names = METRICS.map(Self::name).join(", ");
                format!("no metric of this name; there are {names}")
            })
    }
}

/// How much was counted in how many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rate {
    count: f64,
    seconds: f64,
}

/// What was measured in a window.
#[derive(Clone)]
pub struct Measured {
    wakeups: Run,
    wait_ms: Rate,
    psi_pct: Option<Rate>,
    throughput: Option<Rate>,
}

/// What was read at one time.
pub struct Reading {
    at: Instant,
    waits: Counted,
    psi_us: Option<u64>,
    /// Reading it takes some time: when, and the counter
    throughput: Option<(Instant, f64)>,
}

impl Reading {
    /// What was measured since `before`. Fails if the user's counter has fallen.
    pub fn since(&self, before: &Self) -> Result<Measured> {
        let seconds = (self.at - before.at).as_secs_f64();
        let waits = self.waits.since(&before.waits);
        let throughput = match (self.throughput, before.throughput) {
            (Some((at, now)), Some((begin, then))) => {
                ensure!(
                    now >= then,
                    "the counter of throughput fell from {then} to {now}; one that only grows is \
                     expected"
                );
                Some(Rate {
                    count: now - then,
                    seconds: (at - begin).as_secs_f64(),
                })
            }
            _ => None,
        };

        Ok(Measured {
            wakeups: waits.run()?,
            wait_ms: Rate {
                count: waits.wait_ns as f64 / 1e6,
                seconds,
            },
            psi_pct: self.psi_us.zip(before.psi_us).map(|(now, then)| Rate {
                count: now.saturating_sub(then) as f64 / 1e4,
                seconds,
            }),
            throughput,
        })
    }
}

/// Where the user's counter comes from.
#[derive(Clone, Debug)]
pub enum Counter {
    /// What a command of the shell prints
    Command(String),
    /// A file in the text format of Prometheus, and a metric
    Prometheus(PathBuf, String),
}

/// Parses `FILE:METRIC` of --prometheus.
pub fn prometheus(text: &str) -> Result<Counter, String> {
    match text.split_once(':') {
        Some((file, metric)) if !file.is_empty() && !metric.is_empty() => {
            Ok(Counter::Prometheus(file.into(), metric.to_string()))
        }
        _ => Err("FILE:METRIC is expected".to_string()),
    }
}

impl Counter {
    /// Its value.
    pub fn read(&self) -> Result<f64> {
        match self {
            Self::Command(command) => {
                of_command(command).with_context(|| format!("--throughput '{command}'"))
            }
            Self::Prometheus(file, metric) => fs::read_to_string(file)
                .map_err(anyhow::Error::from)
                .and_then(|text| of_prometheus(&text, metric))
                .with_context(|| format!("--prometheus {}:{metric}", file.display())),
        }
    }
}

fn of_command(command: &str) -> Result<f64> {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("sh")?;

    ensure!(
        output.status.success(),
        "the command ended with {}",
        output.status
    );
    number(String::from_utf8_lossy(&output.stdout).trim())
        .context("one number on standard output is expected")
}

fn number(text: &str) -> Result<f64> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());

    number.with_context(|| format!("'{text}' is no number"))
}

/// The sum of the samples of a metric: of all its labels, or of one `name{...}` as it is
/// written there.
fn of_prometheus(text: &str, metric: &str) -> Result<f64> {
    let mut sum = None;

    for line in text.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        let Some(rest) = line.strip_prefix(metric) else {
            continue;
        };
        // Labels may have spaces, and braces in quotes: they end at the last one.
        let rest = match rest.chars().next() {
            Some('{') => rest.rsplit_once('}').map_or("", |(_, rest)| rest),
            Some(' ' | '\t') => rest,
            // Another metric, of a longer name.
            _ => continue,
        };
        // A time may follow.
        let value = number(rest.split_whitespace().next().unwrap_or_default())?;
        sum = Some(sum.unwrap_or(0.0) + value);
    }
    sum.context("no such metric in the file")
}

/// The time in which some task waited for a CPU, in microseconds, of a pressure file.
fn pressure(text: &str) -> Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("some "))
        .and_then(|some| {
            some.split(' ')
                .find_map(|field| field.strip_prefix("total="))
        })
        .and_then(|total| total.parse().ok())
        .context("no line 'some ... total=N'")
}

/// Where all is read.
pub struct Sources {
    waits: Waits,
    psi: Option<PathBuf>,
    counter: Option<Counter>,
}

impl Sources {
    /// Of a cgroup, by its directory and id, or of the host.
    pub fn open(cgroup: Option<(&Path, u64)>, counter: Option<Counter>) -> Result<Self> {
        let psi = match cgroup {
            Some((path, _)) => path.join("cpu.pressure"),
            None => PathBuf::from("/proc/pressure/cpu"),
        };
        let waits = Waits::attach(cgroup.map_or(0, |(_, id)| id))?;
        let mut sources = Self {
            waits,
            psi: None,
            counter,
        };

        // Without CONFIG_PSI the file is missing, with psi=0 or cgroup.pressure it refuses.
        match fs::read_to_string(&psi) {
            Ok(_) => sources.psi = Some(psi),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                bail!("{}: {e}", psi.display())
            }
            Err(_) => cli::warn(&format!(
                "{}: cannot be read: {} is left out",
                psi.display(),
                Metric::PsiCpuPct
            )),
        }
        Ok(sources)
    }

    /// Which metrics there are.
    pub fn metrics(&self) -> Vec<Metric> {
        METRICS
            .into_iter()
            .filter(|metric| match metric {
                Metric::PsiCpuPct => self.psi.is_some(),
                Metric::ThroughputPerS => self.counter.is_some(),
                _ => true,
            })
            .collect()
    }

    /// Reads all.
    pub fn read(&self) -> Result<Reading> {
        let throughput = self
            .counter
            .as_ref()
            .map(|counter| {
                let begin = Instant::now();
                let value = counter.read()?;
                anyhow::Ok((begin + begin.elapsed() / 2, value))
            })
            .transpose()?;
        let psi_us = self
            .psi
            .as_ref()
            .map(|path| {
                fs::read_to_string(path)
                    .map_err(anyhow::Error::from)
                    .and_then(|text| pressure(&text))
                    .with_context(|| path.display().to_string())
            })
            .transpose()?;

        Ok(Reading {
            at: Instant::now(),
            waits: self.waits.read()?,
            psi_us,
            throughput,
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::waits::tests::counted;

    /// A window of a second with these waits, and this throughput.
    pub fn measured(waits: &[(u64, u64)], throughput: f64) -> Measured {
        let of = |count| Rate {
            count,
            seconds: 1.0,
        };
        let waits = counted(waits);

        Measured {
            wakeups: waits.run().unwrap(),
            wait_ms: of(waits.wait_ns as f64 / 1e6),
            psi_pct: None,
            throughput: Some(of(throughput)),
        }
    }

    #[test]
    fn metrics_of_windows() {
        let windows = [
            measured(&[(1000, 99)], 10.0),
            measured(&[(1_000_000, 1)], 30.0),
        ];
        let of = |metric: Metric| metric.of(windows.iter());

        assert_eq!(of(Metric::WakeupMeanUs), Some(10.99));
        assert!((of(Metric::WakeupP99Us).unwrap() - 1.0).abs() < 0.02);
        assert_eq!(of(Metric::WaitMsPerS), Some(1.099 / 2.0));
        assert_eq!(of(Metric::PsiCpuPct), None);
        assert_eq!(of(Metric::ThroughputPerS), Some(20.0));
        assert_eq!(Metric::WakeupMeanUs.of([measured(&[], 1.0)].iter()), None);
    }

    #[test]
    fn names() {
        for metric in METRICS {
            assert_eq!(metric.name().parse(), Ok(metric));
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{metric}\""));
        }
        assert!("p99"
            .parse::<Metric>()
            .unwrap_err()
            .contains("wakeup_p99_us"));
    }

    #[test]
    fn pressure_files() {
        let text = "some avg10=0.00 avg60=0.12 avg300=0.06 total=8271\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";
        assert_eq!(pressure(text).unwrap(), 8271);
        assert!(pressure("full avg10=0.00 total=9\n").is_err());
    }

    #[test]
    fn counters_of_commands() {
        let read = |command: &str| Counter::Command(command.to_string()).read();

        assert_eq!(read("echo 1.5e3").unwrap(), 1500.0);
        let error = |command: &str| format!("{:#}", read(command).unwrap_err());
        assert!(error("echo x").contains("--throughput 'echo x'"));
        assert!(error("echo x").contains("'x' is no number"));
        assert!(error("echo inf").contains("'inf' is no number"));
        assert!(error("exit 3").contains("exit status: 3"));
    }

    #[test]
    fn counters_of_prometheus() {
        let text = "# HELP requests_total all\n# TYPE requests_total counter\n\
                    requests_total{code=\"200\",path=\"/a b}\"} 5 1700000000\n\
                    requests_total{code=\"500\"} 2\nrequests_total_other 9\nother 1.5\nbad x\n";

        assert_eq!(of_prometheus(text, "requests_total").unwrap(), 7.0);
        let one = "requests_total{code=\"500\"}";
        assert_eq!(of_prometheus(text, one).unwrap(), 2.0);
        assert_eq!(of_prometheus(text, "other").unwrap(), 1.5);
        assert!(of_prometheus(text, "requests").is_err());
        assert!(of_prometheus(text, "bad").is_err());
        assert!(prometheus("/x:a{b=\"c:d\"}").is_ok());
        assert!(prometheus("/x").unwrap_err().contains("FILE:METRIC"));
    }

    #[test]
    fn a_counter_that_falls() {
        let at = Instant::now();
        let reading = |value| Reading {
            at,
            waits: counted(&[]),
            psi_us: None,
            throughput: Some((at, value)),
        };
        assert!(reading(2.0).since(&reading(1.0)).is_ok());
        let error = reading(1.0).since(&reading(2.0)).err().unwrap();
        assert!(error.to_string().contains("fell from 2 to 1"));
    }
}
