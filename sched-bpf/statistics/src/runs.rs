// SPDX-License-Identifier: GPL-2.0

//! Figures of runs and their ratios.
//!
//! Runs are independent, requests are not: those of a run were in the same queue, so that
//! thousands of them may be one observation. Intervals are those of runs.

use anyhow::{ensure, Context, Result};
use hdrhistogram::Histogram;

use crate::interval::{interval, Estimate};

/// Digits that histograms keep.
const DIGITS: u8 = 3;

/// How much the logarithm of a quantile is rounded to.
const ROUNDING: f64 = 1e-3;

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
        let mut run = Self { histogram: Histogram::new(DIGITS).context("histogram")?, sum: 0.0 };

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

/// Return the ratio of a figure to that of `base`: the geometric mean of the ratios of runs, as
/// run `i` of both had the same requests at the same times. Its interval misses the truth with
/// probability `alpha`. Of the largest value there is no interval: what a longer run would have
/// seen is not known.
pub fn ratio(what: Figure, runs: &[Run], base: &[Run], alpha: f64) -> Result<Estimate> {
    ensure!(
        runs.len() == base.len() && !runs.is_empty(),
        "{} and {} runs: as many of both are needed",
        runs.len(),
        base.len()
    );
    let rounding = match what {
        Figure::Quantile(_) => ROUNDING,
        _ => 0.0,
    };
    let logarithms = runs
        .iter()
        .zip(base)
        .map(|(run, base)| {
            // A run that served nothing has no logarithm.
            let of = |run| anyhow::Ok(figure(what, std::iter::once(run))?.max(1.0).ln());
            Ok(of(run)? - of(base)?)
        })
        .collect::<Result<Vec<f64>>>()?;
    let estimate = interval(&logarithms, alpha, rounding).context("no run")?;
    let ratio = estimate.map(f64::exp);

    Ok(match what {
        Figure::Max => Estimate { low: 0.0, high: f64::INFINITY, ..ratio },
        _ => ratio,
    })
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
    fn no_difference_is_one() {
        let runs = [run(&[10, 20]), run(&[30, 90]), run(&[5])];
        let one = ratio(Figure::Mean, &runs, &runs, 0.05).unwrap();

        assert_eq!((one.value, one.low, one.high), (1.0, 1.0, 1.0));
        assert!(ratio(Figure::Mean, &runs, &runs[1..], 0.05).is_err());
    }

    #[test]
    fn maxima_have_no_interval() {
        let ratio = ratio(Figure::Max, &[run(&[4]), run(&[4])], &[run(&[2]), run(&[2])], 0.05);
        assert!(ratio.unwrap().high.is_infinite());
    }

    /// Three runs are few, and the interval says so: it misses the truth in 4 to 6 % of
    /// comparisons.
    #[test]
    fn coverage_of_three_runs() {
        let mut rng = Rng::with_seed(5);
        let mut runs = || -> Vec<Run> {
            let mut value = || (1e6 * (rng.f64() + rng.f64() + rng.f64()).exp()) as u64;
            (0..3).map(|_| run(&[value()])).collect()
        };
        let missed = (0..20_000)
            .filter(|_| {
                let (a, b) = (runs(), runs());
                !ratio(Figure::Mean, &a, &b, 0.05).unwrap().holds(1.0)
            })
            .count()
            / 20;

        assert!((40..=60).contains(&missed), "{missed} of 1000");
    }
}
