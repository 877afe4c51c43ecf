// SPDX-License-Identifier: GPL-2.0

//! Confidence intervals of means, by Student's t.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A number and its confidence interval.
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
    /// Return true if the interval contains this number.
    pub fn holds(&self, number: f64) -> bool {
        self.low <= number && self.high >= number
    }

    /// Convert to another scale, by an increasing function.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { value: f(self.value), low: f(self.low), high: f(self.high) }
    }
}

/// Return the mean of values with an interval that misses the true mean with probability
/// `alpha`. The interval of one value has no ends. None without values.
///
/// Each value is the difference of two numbers that were rounded to multiples of `rounding`, 0
/// if they are exact: equal values are not known without error then.
pub fn interval(values: &[f64], alpha: f64, rounding: f64) -> Option<Estimate> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let half = if values.len() == 1 {
        f64::INFINITY
    } else {
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let variance = squares / (n - 1.0) + rounding.powi(2) / 6.0;
        let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
        t.inverse_cdf(1.0 - alpha / 2.0) * (variance / n).sqrt()
    };

    Some(Estimate { value: mean, low: mean - half, high: mean + half })
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    /// Quantiles as in tables, also for many degrees of freedom.
    #[test]
    fn quantiles() {
        for (freedom, alpha, expected) in [
            (1.0, 0.05, 12.706),
            (4.0, 0.01, 4.604),
            (9.0, 0.05, 2.262),
            (1000.0, 0.05, 1.962),
            (100_000.0, 0.05, 1.960),
        ] {
            let t = StudentsT::new(0.0, 1.0, freedom).unwrap();
            let found = t.inverse_cdf(1.0 - alpha / 2.0);
            assert!((found - expected).abs() < 0.001, "{freedom} {found}");
        }
    }

    #[test]
    fn of_none_and_of_one() {
        assert!(interval(&[], 0.05, 0.0).is_none());
        let one = interval(&[3.0], 0.05, 0.0).unwrap();
        assert_eq!((one.value, one.low), (3.0, f64::NEG_INFINITY));
    }

    #[test]
    fn equal_values_are_not_exact() {
        let e = interval(&[0.1; 8], 0.05, 0.1).unwrap();
        assert!(e.holds(0.08) && !e.holds(0.0), "{e:?}");
    }

    /// The interval misses the truth in 4 to 6 % of trials, few as the values may be. There are
    /// 20 times 1000 trials, as 1000 alone vary by 1.4 % (two standard deviations).
    #[test]
    fn coverage() {
        for n in [3, 5, 10, 30] {
            let mut rng = Rng::with_seed(3);
            let mut normal = || (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
            let missed = (0..20_000)
                .filter(|_| {
                    let values: Vec<f64> = (0..n).map(|_| normal()).collect();
                    !interval(&values, 0.05, 0.0).unwrap().holds(0.0)
                })
                .count()
                / 20;
            println!("{n} values: {missed} of 1000");
            assert!((40..=60).contains(&missed), "{n} values: {missed} of 1000");
        }
    }
}
