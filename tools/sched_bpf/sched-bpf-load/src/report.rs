// SPDX-License-Identifier: GPL-2.0

//! What the demo found: a table, the same as CSV and as a plot, and whether it shows an effect.

use std::fmt::Write;

use anyhow::{ensure, Result};
use sched_bpf_counters::HookCounters;
use sched_bpf_stats::{self as stats, Estimate, Row};

use crate::measure::Measures;

/// What the policy is meant to lower: how long a worker waits at worst.
const AIM: &str = "wakeup_p99_us";

/// Above this part of what it is without the policy is no effect.
const EFFECT: f64 = 0.9;

/// What is measured of each phase; the order is that of [`Phase::new`].
const COLUMNS: [&str; 15] = [
    "wakeup_p50_us",
    "wakeup_p90_us",
    "wakeup_p99_us",
    "wakeup_max_us",
    "run_p50_us",
    "run_p99_us",
    "request_p50_us",
    "request_p99_us",
    "requests_per_s",
    "computing_ms",
    "service_cpu_pct",
    "service_invol",
    "hogs_cpu_pct",
    "hogs_invol",
    "hogs_wait_ms",
];

/// What of it is in the table, and in how many columns.
const SHOWN: [(&str, usize); 8] = [
    ("wakeup_p50_us", 13),
    ("wakeup_p99_us", 13),
    ("wakeup_max_us", 13),
    ("requests_per_s", 14),
    ("computing_ms", 12),
    ("service_invol", 13),
    ("hogs_cpu_pct", 12),
    ("hogs_wait_ms", 12),
];

/// And in the plot.
const PLOTTED: [&str; 3] = [AIM, "computing_ms", "hogs_wait_ms"];

/// What a phase shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stock kernel, however it is set
    Stock,
    /// A policy, whose counters there are
    Policy,
}

/// One phase of the demo.
pub struct Phase {
    name: String,
    kind: Kind,
    values: [f64; COLUMNS.len()],
    counters: Vec<HookCounters>,
}

impl Phase {
    /// What the two workloads measured in a phase, and the counters of its policy.
    pub fn new(
        name: &str,
        kind: Kind,
        service: &Measures,
        hogs: &Measures,
        counters: Vec<HookCounters>,
    ) -> Result<Self> {
        let us = |name: &str| -> Result<f64> { Ok(service.get(name)? as f64 / 1e3) };
        let seconds = service.get("seconds")? as f64;
        let requests = service.get("requests")? as f64;
        let service_cpu_us = service.get("cpu_us")? as f64;
        let hogs_cpu_us = hogs.get("cpu_us")? as f64;
        let hogs_wall_us = hogs.get("wall_us")? as f64;

        ensure!(requests > 0.0, "{name}: the service served no request");

        Ok(Self {
            name: name.to_string(),
            kind,
            values: [
                us("wakeup_p50_ns")?,
                us("wakeup_p90_ns")?,
                us("wakeup_p99_ns")?,
                us("wakeup_max_ns")?,
                us("run_p50_ns")?,
                us("run_p99_ns")?,
                us("request_p50_ns")?,
                us("request_p99_ns")?,
                requests / seconds,
                us("computing_mean_ns")? / 1e3,
                service_cpu_us / seconds / 1e4,
                service.get("involuntary")? as f64,
                hogs_cpu_us / hogs_wall_us * 100.0,
                hogs.get("involuntary")? as f64,
                hogs.get("wait_max_us")? as f64 / 1e3,
            ],
            counters,
        })
    }

    /// What it shows.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn value(&self, column: &str) -> f64 {
        COLUMNS
            .iter()
            .position(|name| *name == column)
            .map_or(f64::NAN, |i| self.values[i])
    }
}

/// The phases, a row each; what the columns are; then the counters.
pub fn table(phases: &[Phase]) -> String {
    let mut out = String::new();

    // Writing to a string does not fail.
    let _ = write!(out, "{:<18}", "");
    for (name, width) in SHOWN {
        let _ = write!(out, " {name:>width$}");
    }
    let _ = writeln!(out);
    for phase in phases {
        let _ = write!(out, "{:<18}", phase.name);
        for (name, width) in SHOWN {
            let _ = write!(out, " {:>width$.1}", phase.value(name));
        }
        let _ = writeln!(out);
    }
    let _ = writeln!(
        out,
        "\nwakeup: of requests that take shortly; computing_ms: mean duration of one that \
         computes; service_invol: times\nthat the service was interrupted; hogs_wait_ms: what a \
         hog waited for the CPU at worst"
    );

    let _ = writeln!(
        out,
        "\n{:<13} {:<26} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "policy", "hook", "calls", "negative", "zero", "positive", "overruled"
    );
    for phase in phases {
        for c in &phase.counters {
            let _ = writeln!(
                out,
                "{:<13} {:<26} {:>9} {:>9} {:>9} {:>9} {:>9}",
                phase.name, c.hook, c.calls, c.negative, c.zero, c.positive, c.overruled
            );
        }
    }
    out
}

/// Ratios to the first phase. A phase is measured once, so that they have no intervals.
pub fn plot(phases: &[Phase]) -> Result<String> {
    let ratios: Vec<_> = phases
        .iter()
        .map(|phase| {
            PLOTTED.map(|name| {
                let value = ratio(phase.value(name), phases[0].value(name));
                Estimate {
                    value,
                    low: value,
                    high: value,
                }
            })
        })
        .collect();
    let rows: Vec<_> = phases
        .iter()
        .zip(&ratios)
        .map(|(phase, ratios)| Row {
            name: &phase.name,
            ratios,
        })
        .collect();

    stats::ratios("A service beside hogs", "stock", &PLOTTED, &rows)
}

fn ratio(value: f64, stock: f64) -> f64 {
    if value == stock {
        1.0
    } else {
        value / stock
    }
}

/// A row for each phase; counters are empty where no policy was attached.
pub fn csv(phases: &[Phase]) -> Result<String> {
    const COUNTERS: [&str; 5] = ["calls", "negative", "zero", "positive", "overruled"];
    let mut hooks: Vec<&str> = Vec::new();
    for c in phases.iter().flat_map(|phase| &phase.counters) {
        if !hooks.contains(&c.hook.as_str()) {
            hooks.push(&c.hook);
        }
    }
    let mut out = csv::Writer::from_writer(Vec::new());

    out.write_field("phase")?;
    for column in COLUMNS {
        out.write_field(column)?;
    }
    for hook in &hooks {
        for counter in COUNTERS {
            out.write_field(format!("{hook}_{counter}"))?;
        }
    }
    out.write_record(None::<&[u8]>)?;

    for phase in phases {
        out.write_field(&phase.name)?;
        for value in phase.values {
            out.write_field(format!("{value:.3}"))?;
        }
        for hook in &hooks {
            let fields = match phase.counters.iter().find(|c| c.hook == *hook) {
                Some(c) => [c.calls, c.negative, c.zero, c.positive, c.overruled]
                    .map(|count| count.to_string()),
                None => Default::default(),
            };
            for field in fields {
                out.write_field(field)?;
            }
        }
        out.write_record(None::<&[u8]>)?;
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}

/// Fails if a hook was never asked, or if the policy made no difference.
pub fn verdict(stock: &Phase, policy: &Phase) -> Result<()> {
    ensure!(
        !policy.counters.is_empty(),
        "the kernel shows no hook of the attached policy"
    );
    for c in &policy.counters {
        ensure!(
            c.calls > 0,
            "hook {} was never asked while the policy was attached",
            c.hook
        );
    }

    ensure!(
        policy.value(AIM) < stock.value(AIM) * EFFECT,
        "no effect: with the policy {AIM} is not below {EFFECT} of what it is without"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(name: &'static str, p99_ns: u64, lines: &str) -> Phase {
        let header = "id name hook calls negative zero positive overruled prog differ timed \
                      time_ns max_ns\n";
        let lines = lines.replace('\n', " 0 0 0 0 0\n");
        let service = format!(
            "requests 20\nseconds 10\ncpu_us 1000000\ninvoluntary 4\n\
             wakeup_p50_ns 1000\nwakeup_p90_ns 4000\nwakeup_p99_ns {p99_ns}\n\
             wakeup_max_ns 9000000\n\
             run_p50_ns 1000\nrun_p99_ns 9000\nrequest_p50_ns 1\nrequest_p99_ns 2\n\
             computed 2\ncomputing_mean_ns 200000000\n"
        );
        let hogs = "wall_us 10000000\ncpu_us 9000000\ninvoluntary 7\nwait_max_us 9000\n";

        Phase::new(
            name,
            Kind::Policy,
            &Measures::parse(&service).unwrap(),
            &Measures::parse(hogs).unwrap(),
            sched_bpf_counters::parse(&format!("{header}{lines}")).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn units() {
        let phase = phase("stock", 5000, "");

        assert_eq!(phase.value("wakeup_p50_us"), 1.0);
        assert_eq!(phase.value("wakeup_p99_us"), 5.0);
        assert_eq!(phase.value("requests_per_s"), 2.0);
        assert_eq!(phase.value("service_cpu_pct"), 10.0);
        assert_eq!(phase.value("hogs_cpu_pct"), 90.0);
        assert_eq!(phase.value("hogs_wait_ms"), 9.0);
        assert_eq!(phase.value("computing_ms"), 200.0);
    }

    #[test]
    fn effect() {
        let stock = phase("stock", 5000, "");

        assert!(verdict(&stock, &phase("policy", 1000, "1 p h 5 1 1 3 0\n")).is_ok());

        let error = |p99, lines| {
            verdict(&stock, &phase("policy", p99, lines))
                .unwrap_err()
                .to_string()
        };
        assert!(error(4900, "1 p h 5 1 1 3 0\n").contains("no effect"));
        assert!(error(1000, "1 p h 0 0 0 0 0\n").contains("hook h was never asked"));
        assert!(error(1000, "").contains("no hook"));
    }

    #[test]
    fn as_many_csv_fields_in_each_row() {
        let phases = [
            phase("stock", 5000, ""),
            phase("policy", 1000, "1 p h 5 1 1 3 0\n1 p i 5 1 1 3 0\n"),
            phase("other", 1000, "2 o i 5 1 1 3 0\n"),
        ];
        let csv = csv(&phases).unwrap();
        let fields: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();

        assert_eq!(fields, [26, 26, 26, 26]);
        assert!(csv.contains("h_overruled,i_calls"));
    }

    #[test]
    fn table_and_plot() {
        let phases = [phase("stock", 5000, ""), phase("policy", 1000, "")];
        let table = table(&phases);

        assert!(table.contains("policy                       1.0           1.0"));
        assert!(SHOWN
            .iter()
            .all(|(name, _)| !phases[0].value(name).is_nan() && table.contains(name)));
        assert!(plot(&phases).unwrap().contains("hogs_wait_ms"));
    }
}
