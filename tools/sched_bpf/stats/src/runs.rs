// SPDX-License-Identifier: GPL-2.0

//! Figures of runs, and how sure they are.
//!
//! What spreads are runs, not requests: those of a run have met the same queue, so that
//! thousands of them may tell one thing. Intervals are of the bootstrap over runs, paired:
//! run `i` of two settings had the same requests at the same times.

use anyhow::{ensure, Context, Result};
use hdrhistogram::Histogram;

use crate::bootstrap::bootstrap;
use crate::Estimate;

/// Digits that histograms keep.
const DIGITS: u8 = 3;

/// A figure of the pooled values of runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// The mean
    Mean,
    /// A quantile, 0 to 1
    Quantile(f64),
    /// The largest
    Max,
}

/// What is known of a run: its values, with exact sum.
#[derive(Clone)]
pub struct Run {
    histogram: Histogram<u64>,
    sum: f64,
}

impl Run {
    /// Takes values, in nanoseconds.
    pub fn new(values: impl Iterator<Item = u64>) -> Result<Self> {
        let mut run = Self {
            histogram: Histogram::new(DIGITS).context("histogram")?,
            sum: 0.0,
        };

        for value in values {
            run.histogram += value;
            run.sum += value as f64;
        }
        Ok(run)
    }

    /// Takes values that were counted by size: pairs of a value in nanoseconds and how often
    /// it was, and their sum.
    pub fn of_counts(counts: impl Iterator<Item = (u64, u64)>, sum: f64) -> Result<Self> {
        let mut run = Self::new(std::iter::empty())?;

        for (value, count) in counts {
            run.histogram.record_n(value, count).context("histogram")?;
        }
        run.sum = sum;
        Ok(run)
    }

    /// Has it no value?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values.
    pub fn len(&self) -> u64 {
        self.histogram.len()
    }
}

/// A figure of some runs taken together.
pub fn figure<'a>(what: Figure, runs: impl Iterator<Item = &'a Run> + Clone) -> Result<f64> {
    let count: u64 = runs.clone().map(Run::len).sum();

    ensure!(count > 0, "no value was measured");
    Ok(match what {
        Figure::Mean => runs.map(|run| run.sum).sum::<f64>() / count as f64,
        Figure::Max => runs.map(|run| run.histogram.max()).max().unwrap_or(0) as f64,
        Figure::Quantile(part) => {
            let mut all = Run::new(std::iter::empty())?;
            runs.for_each(|run| all.histogram += &run.histogram);
            all.histogram.value_at_quantile(part) as f64
        }
    })
}

/// The ratio of a figure to that of `base`, by percentiles of the paired bootstrap over runs.
/// Of few runs, less than ten, such intervals are too narrow.
pub fn ratio(what: Figure, runs: &[Run], base: &[Run], seed: u64) -> Result<Estimate> {
    ensure!(
        runs.len() == base.len() && !runs.is_empty(),
        "{} and {} runs: as many of both are needed",
        runs.len(),
        base.len()
    );
    let of = |drawn: &[usize]| -> Result<f64> {
        let above = figure(what, drawn.iter().map(|i| &runs[*i]))?;
        let below = figure(what, drawn.iter().map(|i| &base[*i]))?;
        Ok(above / below)
    };

    Ok(bootstrap(runs.len(), seed, of)?.percentiles())
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn run(values: &[u64]) -> Run {
        Run::new(values.iter().copied()).unwrap()
    }

    #[test]
    fn figures() {
        let runs = [run(&[1, 2, 3, 4]), run(&[100])];
        let of = |what| figure(what, runs.iter()).unwrap();

        assert_eq!(of(Figure::Mean), 22.0);
        assert_eq!(of(Figure::Quantile(0.5)), 3.0);
        assert_eq!(of(Figure::Max), 100.0);
        assert!(figure(Figure::Max, [].iter()).is_err());
    }

    #[test]
    fn no_difference_is_exactly_one() {
        let runs = [run(&[10, 20]), run(&[30, 90]), run(&[5])];
        let one = ratio(Figure::Mean, &runs, &runs, 1).unwrap();

        assert_eq!((one.value, one.low, one.high), (1.0, 1.0, 1.0));
        assert!(one.may_be_one());
    }

    /// Runs of one value each: the figure is the mean of 20 numbers, whose interval is known
    /// from theory, mean +- 1.96 * deviation / sqrt(20), as the base is constant.
    #[test]
    fn interval_as_of_theory() {
        let values: Vec<u64> = (0..20).map(|i| 1000 + 10 * i).collect();
        let runs: Vec<Run> = values.iter().map(|value| run(&[*value])).collect();
        let base: Vec<Run> = values.iter().map(|_| run(&[1000])).collect();
        let estimate = ratio(Figure::Mean, &runs, &base, 1).unwrap();
        // The standard deviation of 0, 10 .. 190 is 57.66.
        let half = 1.96 * 57.66 / 20.0_f64.sqrt() / 1000.0;

        assert!((estimate.value - 1.095).abs() < 1e-9);
        assert!(
            (estimate.low - (1.095 - half)).abs() < 0.003,
            "{estimate:?}"
        );
        assert!(
            (estimate.high - (1.095 + half)).abs() < 0.003,
            "{estimate:?}"
        );
    }

    /// How often the interval holds the truth, where there is no difference: nominally 95 %,
    /// and less with ten runs, as percentiles of the bootstrap are too narrow then.
    #[test]
    fn coverage() {
        let mut rng = Rng::with_seed(5);
        let mut runs = || -> Vec<Run> { (0..10).map(|_| run(&[rng.u64(1000..2000)])).collect() };
        let held = (0..200)
            .filter(|i| {
                let (a, b) = (runs(), runs());
                ratio(Figure::Mean, &a, &b, *i).unwrap().may_be_one()
            })
            .count();

        assert!((170..=198).contains(&held), "{held} of 200");
    }
}
