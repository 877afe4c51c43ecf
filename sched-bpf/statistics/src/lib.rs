// SPDX-License-Identifier: GPL-2.0

//! Figures of runs with their confidence intervals, and plots of them: what comparisons of
//! settings by a load and trials on a live host have in common.

mod interval;
mod plot;
mod runs;
mod sequential;

pub use interval::{interval, Estimate};
pub use plot::{ratios, windows, Row};
pub use runs::{figure, ratio, Figure, Run};
pub use sequential::Sequence;
