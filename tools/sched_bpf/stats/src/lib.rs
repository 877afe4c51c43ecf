// SPDX-License-Identifier: GPL-2.0

//! Figures of runs, how sure they are, and plots of them: what comparing settings by a load
//! and a trial on a live host have in common.

mod bootstrap;
mod plot;
mod runs;
mod sequential;
mod student;

pub use bootstrap::{bootstrap, Bootstrap};
pub use plot::{ratios, windows, Row};
pub use runs::{figure, ratio, Figure, Run};
pub use sequential::Sequence;

use serde::Serialize;

/// A number and the interval that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The number
    pub value: f64,
    /// Lower end of the interval
    pub low: f64,
    /// Upper end of the interval
    pub high: f64,
}

impl Estimate {
    /// Does the interval hold this number?
    pub fn holds(&self, number: f64) -> bool {
        self.low <= number && self.high >= number
    }

    /// May it be 1, so that a ratio is none of a difference?
    pub fn may_be_one(&self) -> bool {
        self.holds(1.0)
    }

    /// The same on another scale, by a function that grows.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            value: f(self.value),
            low: f(self.low),
            high: f(self.high),
        }
    }
}
