// SPDX-License-Identifier: GPL-2.0

//! Figures of runs with their confidence intervals: what comparisons of
//! settings by a load and trials on a live host have in common.

mod interval;
mod runs;

pub use interval::{interval, Estimate};
pub use runs::{figure, ratio, Figure, Run};
