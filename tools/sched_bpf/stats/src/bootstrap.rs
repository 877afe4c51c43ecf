// SPDX-License-Identifier: GPL-2.0

//! The bootstrap over runs, or over blocks of them.

use std::collections::BTreeMap;

use anyhow::{ensure, Result};
use fastrand::Rng;

use crate::student;
use crate::Estimate;

/// How often runs are drawn anew.
const DRAWS: usize = 2000;

/// A number, and what it would have been with other runs.
pub struct Bootstrap {
    value: f64,
    /// In order
    draws: Vec<f64>,
    runs: usize,
}

/// Draws `runs` numbers below `runs`, with repetition, 2000 times, and lets `of` make a
/// number of each draw. Fails where `of` does, and without any run.
pub fn bootstrap(
    runs: usize,
    seed: u64,
    of: impl Fn(&[usize]) -> Result<f64>,
) -> Result<Bootstrap> {
    ensure!(runs > 0, "no run to draw from");
    let mut rng = Rng::with_seed(seed);
    let each: Vec<usize> = (0..runs).collect();
    // Of few runs the same are drawn again and again.
    let mut known = BTreeMap::new();
    let mut draws = Vec::with_capacity(DRAWS);

    for _ in 0..DRAWS {
        let mut drawn: Vec<usize> = each.iter().map(|_| rng.usize(0..runs)).collect();
        drawn.sort_unstable();
        draws.push(match known.get(&drawn) {
            Some(number) => *number,
            None => {
                let number = of(&drawn)?;
                known.insert(drawn, number);
                number
            }
        });
    }

    draws.sort_by(f64::total_cmp);
    Ok(Bootstrap {
        value: of(&each)?,
        draws,
        runs,
    })
}

impl Bootstrap {
    /// The 95 % interval by percentiles. Of few runs, less than ten, such intervals are too
    /// narrow.
    pub fn percentiles(&self) -> Estimate {
        Estimate {
            value: self.value,
            low: self.draws[DRAWS * 25 / 1000],
            high: self.draws[DRAWS * 975 / 1000 - 1],
        }
    }

    /// The interval that misses the truth with probability `alpha`, by the standard
    /// deviation of the draws and Student's distribution: also of few runs, if what is drawn
    /// is about normal. Draws spread less than what they are drawn from, by the root of
    /// 1 - 1 / runs (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015). Of
    /// one run nothing is known. The number is the difference of two that were rounded to
    /// multiples of `rounding`, 0 if they are exact.
    pub fn student(&self, alpha: f64, rounding: f64) -> Estimate {
        let mean = self.draws.iter().sum::<f64>() / DRAWS as f64;
        let squares: f64 = self.draws.iter().map(|draw| (draw - mean).powi(2)).sum();
        let half = match self.runs {
            1 => f64::INFINITY,
            runs => {
                let n = runs as f64;
                let variance = squares / (DRAWS - 1) as f64 * n / (n - 1.0);
                (variance + rounding.powi(2) / 6.0).sqrt() * student::two_sided(runs - 1, alpha)
            }
        };

        Estimate {
            value: self.value,
            low: self.value - half,
            high: self.value + half,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> Bootstrap {
        let of = |drawn: &[usize]| {
            Ok(drawn.iter().map(|i| values[*i]).sum::<f64>() / drawn.len() as f64)
        };
        bootstrap(values.len(), 1, of).unwrap()
    }

    #[test]
    fn of_nothing_or_one() {
        assert!(bootstrap(0, 1, |_| Ok(0.0)).is_err());
        let one = mean_of(&[3.0]).student(0.05, 0.0);
        assert_eq!((one.value, one.low), (3.0, f64::NEG_INFINITY));
    }

    #[test]
    fn the_same_again_is_not_without_error() {
        let e = mean_of(&[0.1; 8]).student(0.05, 0.1);
        assert!(e.holds(0.01) && !e.holds(0.0), "{e:?}");
    }

    /// The interval of a mean is known: mean +- t * deviation / sqrt(n).
    #[test]
    fn as_of_theory() {
        let values: Vec<f64> = (0..10).map(f64::from).collect();
        let e = mean_of(&values).student(0.05, 0.0);
        let half = 2.262 * 3.0277 / 10.0_f64.sqrt();

        assert!((e.value - 4.5).abs() < 1e-9);
        assert!((e.high - 4.5 - half).abs() < 0.08, "{e:?}");
    }

    /// How often the interval misses the truth, with five runs only.
    #[test]
    fn coverage_of_few() {
        let mut rng = Rng::with_seed(3);
        let mut normal = || (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        let missed = (0..400)
            .filter(|_| {
                let values: Vec<f64> = (0..5).map(|_| normal()).collect();
                !mean_of(&values).student(0.05, 0.0).holds(0.0)
            })
            .count();

        assert!((8..=34).contains(&missed), "{missed} of 400");
    }
}
