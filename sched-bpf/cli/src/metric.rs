// SPDX-License-Identifier: GPL-2.0

//! The metrics of a trial.

use std::fmt;
use std::str::FromStr;

use sched_bpf_core::waits::RESOLUTION;
use serde::Serialize;

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean wait for a CPU after a wakeup
    WakeupMeanUs,
    /// Its 99th percentile
    WakeupP99Us,
    /// All waits for a CPU, also those of preempted tasks
    WaitMsPerS,
    /// Growth of the user's counter
    ThroughputPerS,
}

/// All, in the order of the report.
pub const METRICS: [Metric; 4] =
    [Metric::WakeupMeanUs, Metric::WakeupP99Us, Metric::WaitMsPerS, Metric::ThroughputPerS];

impl Metric {
    /// Return its name, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::WakeupMeanUs => "wakeup_mean_us",
            Self::WakeupP99Us => "wakeup_p99_us",
            Self::WaitMsPerS => "wait_ms_per_s",
            Self::ThroughputPerS => "throughput_per_s",
        }
    }

    /// Return true if arms are compared by the ratio, and false if by the difference, as values
    /// may be 0.
    pub fn is_ratio(self) -> bool {
        matches!(self, Self::WakeupMeanUs | Self::WakeupP99Us)
    }

    /// Return the change where there is none.
    pub fn none(self) -> f64 {
        if self.is_ratio() {
            1.0
        } else {
            0.0
        }
    }

    /// Return the change from `a` to `b` on the scale that is averaged: ratios as logarithms.
    pub fn change(self, a: f64, b: f64) -> f64 {
        if self.is_ratio() {
            (b / a).ln()
        } else {
            b - a
        }
    }

    /// Return what changes are rounded to on that scale.
    pub fn rounding(self) -> f64 {
        match self {
            Self::WakeupP99Us => RESOLUTION,
            _ => 0.0,
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
        let found = METRICS.into_iter().find(|metric| metric.name() == text);
        let names = METRICS.map(Self::name).join(", ");

        found.ok_or_else(|| format!("no such metric; there are {names}"))
    }
}
