// SPDX-License-Identifier: GPL-2.0

//! An interval that may be looked at after each value.

use crate::interval::Estimate;

/// How far off, in standard deviations of a value, a mean is looked for: about one.
const PRIOR: f64 = 1.0;

/// Values that come one after another, and an interval for their mean that holds the truth
/// at all times together but for a probability.
///
/// An interval of the usual kind, looked at after each value until it excludes something,
/// excludes everything some day. This one is a confidence sequence: where the mean is `m`,
/// the ratio of likelihoods below has an expectation of at most 1 at whatever time one stops,
/// so that it ever exceeds `1 / alpha` with probability `alpha` at most (Ville's inequality).
/// The interval are all `m` for which it does not.
///
/// The ratio is that of a t-test, with a normal prior for the mean in standard deviations and
/// the right Haar prior for those: Hendriksen, de Heide and Grünwald, "Optional Stopping with
/// Bayes Factors" (2021) show that it may be stopped at any time, Wang and Ramdas,
/// "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance"
/// (2023) invert it. It is exact for normal values, few as they may be. Values that are
/// symmetric and have heavier tails, as differences in blocks of random order are where there
/// is no difference, make it miss less often.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    values: Vec<f64>,
    rounding: f64,
}

impl Sequence {
    /// Of values that were rounded to multiples of `rounding`, 0 for exact ones. What was
    /// rounded may be the same several times, and yet is not known without error.
    pub fn new(rounding: f64) -> Self {
        Self {
            values: Vec::new(),
            rounding,
        }
    }

    /// Takes the next value.
    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Is there no value yet?
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Mean and interval, for all times together but for the probability `alpha`. The
    /// interval has no ends while there are too few values to say anything, 5 at least. None
    /// without any value.
    pub fn estimate(&self, alpha: f64) -> Option<Estimate> {
        let n = self.values.len() as f64;
        if self.values.is_empty() {
            return None;
        }
        let mean = self.values.iter().sum::<f64>() / n;
        let half = self.half(mean, n, alpha);

        Some(Estimate {
            value: mean,
            low: mean - half,
            high: mean + half,
        })
    }

    /// The ratio is `sqrt(1 / w) * ((1 + x) / (1 + x / w))^(n / 2)` with `w = 1 + n * PRIOR`
    /// and `x = t^2 / (n - 1)`, and grows with `x`: this is where it is `1 / alpha`.
    fn half(&self, mean: f64, n: f64, alpha: f64) -> f64 {
        let w = 1.0 + n * PRIOR;
        let k = (w.sqrt() / alpha).powf(2.0 / n);
        if n < 2.0 || k >= w {
            return f64::INFINITY;
        }
        let squares: f64 = self.values.iter().map(|v| (v - mean).powi(2)).sum();
        // A difference of two rounded numbers has twice the variance of rounding.
        let variance = squares / (n - 1.0) + self.rounding.powi(2) / 6.0;
        let x = (k - 1.0) / (1.0 - k / w);

        ((n - 1.0) * x * variance / n).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    const ALPHA: f64 = 0.05;

    fn normal(rng: &mut Rng) -> f64 {
        (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
    }

    /// In how many of `trials` the interval excludes `what` after any of `values` values.
    fn excluded(
        trials: u32,
        values: u32,
        what: f64,
        mut value: impl FnMut(&mut Rng) -> f64,
    ) -> usize {
        let mut rng = Rng::with_seed(1);

        (0..trials)
            .filter(|_| {
                let mut sequence = Sequence::new(0.0);
                let mut ever = false;
                for _ in 0..values {
                    sequence.push(value(&mut rng));
                    ever |= sequence.estimate(ALPHA).is_some_and(|e| !e.holds(what));
                }
                ever
            })
            .count()
    }

    #[test]
    fn nothing_is_said_of_few() {
        let mut sequence = Sequence::new(0.0);
        assert!(sequence.estimate(ALPHA).is_none());
        for i in 1..=4 {
            sequence.push(f64::from(i));
            assert_eq!(sequence.estimate(ALPHA).unwrap().high, f64::INFINITY);
        }
        sequence.push(5.0);
        assert!(sequence.estimate(ALPHA).unwrap().high.is_finite());
    }

    /// Looked at after each of 200 values, in 1000 trials without a difference: at most 5 %
    /// are false alarms, which is more than what is seen, as 200 are not all times.
    #[test]
    fn false_alarms_though_looked_at_early() {
        let alarms = excluded(1000, 200, 0.0, normal);
        assert!((5..=50).contains(&alarms), "{alarms} of 1000");

        // Heavy tails: the difference of two that are log-normal with a large deviation.
        let tails = |rng: &mut Rng| (1.5 * normal(rng)).exp() - (1.5 * normal(rng)).exp();
        let alarms = excluded(1000, 100, 0.0, tails);
        assert!(alarms <= 50, "{alarms} of 1000");

        // Where the usual interval is wrong in a third of the trials.
        let naive = (0..300)
            .filter(|seed| {
                let mut rng = Rng::with_seed(*seed);
                let (mut sum, mut ever) = (0.0, false);
                for n in 1..=200 {
                    sum += normal(&mut rng);
                    ever |= n >= 5 && sum.abs() > 1.96 * f64::from(n).sqrt();
                }
                ever
            })
            .count();
        assert!(naive > 60, "{naive} of 300");
    }

    #[test]
    fn an_effect_is_found_and_its_size_held() {
        let found = excluded(200, 60, 0.0, |rng| 1.0 + normal(rng));
        assert!(found >= 190, "{found} of 200");
        let missed = excluded(1000, 60, 1.0, |rng| 1.0 + normal(rng));
        assert!(missed <= 50, "{missed} of 1000");
    }

    #[test]
    fn the_same_again_is_not_without_error() {
        let mut sequence = Sequence::new(0.1);
        (0..8).for_each(|_| sequence.push(0.0));
        let e = sequence.estimate(ALPHA).unwrap();
        assert!(e.low < -0.04 && e.high > 0.04, "{e:?}");
    }
}
