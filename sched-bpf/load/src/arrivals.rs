// SPDX-License-Identifier: GPL-2.0

//! When functions are invoked, and how long each is: random, and the same for the same seed.
//!
//! The shape is that of a published trace, Azure Functions in 2019 (Shahrad et al.,
//! "Serverless in the Wild", USENIX ATC 2020): the lengths of functions there fit a
//! log-normal distribution with a median of 0.68 s and a sigma of 2.36. Here a second of it
//! is a millisecond, so that a run of some seconds has many invocations, and the tails are
//! cut. Arrivals are those of a Poisson process.

use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;

/// Median of the lengths, in nanoseconds.
pub const MEDIAN_NS: f64 = 684_000.0;

/// Standard deviation of the logarithm of the lengths.
pub const SIGMA: f64 = 2.36;

/// No length is shorter, in nanoseconds.
pub const SHORTEST_NS: u64 = 50_000;

/// No length is longer, in nanoseconds.
pub const LONGEST_NS: u64 = 300_000_000;

/// Lengths from here on are long, in nanoseconds.
pub const LONG_NS: u64 = 30_000_000;

/// An invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is due, since the begin, in nanoseconds
    pub due_ns: u64,
    /// CPU time that it takes, in nanoseconds
    pub length_ns: u64,
    /// What is known of its length when it arrives, in nanoseconds
    pub announced_ns: u64,
}

/// A number of the standard normal distribution, by Box and Muller's method.
pub fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();

    radius * (TAU * rng.f64()).cos()
}

/// A number of an exponential distribution.
pub fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

fn length(rng: &mut Rng) -> u64 {
    let ns = MEDIAN_NS * (SIGMA * normal(rng)).exp();

    (ns as u64).clamp(SHORTEST_NS, LONGEST_NS)
}

/// The mean of the lengths, in nanoseconds, found by drawing a million of them.
pub fn mean_length_ns() -> f64 {
    const DRAWS: u32 = 1_000_000;
    let mut rng = Rng::with_seed(0);

    (0..DRAWS).map(|_| length(&mut rng) as f64).sum::<f64>() / f64::from(DRAWS)
}

/// The invocations of `time` that take `load` of a CPU on average: of the distribution, not
/// of this sample of it. What is announced is the length times a log-normal error, whose
/// logarithm has the standard deviation `error`; that changes nothing else.
pub fn arrivals(seed: u64, time: Duration, load: f64, error: f64) -> Vec<Arrival> {
    let mut rng = Rng::with_seed(seed);
    let mut errors = Rng::with_seed(!seed);
    let gap_ns = mean_length_ns() / load;
    let mut due = 0.0;
    let mut all = Vec::new();

    loop {
        due += exponential(&mut rng, gap_ns);
        if due >= time.as_nanos() as f64 {
            return all;
        }
        let length_ns = length(&mut rng);
        let factor = (error * normal(&mut errors)).exp();
        all.push(Arrival {
            due_ns: due as u64,
            length_ns,
            announced_ns: (length_ns as f64 * factor) as u64,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(100);

    #[test]
    fn error_changes_what_is_announced_only() {
        let exact = arrivals(7, TIME, 0.8, 0.0);
        let wrong = arrivals(7, TIME, 0.8, 1.0);

        assert!(exact.iter().all(|a| a.length_ns == a.announced_ns));
        assert!(exact
            .iter()
            .zip(&wrong)
            .all(|(a, b)| (a.due_ns, a.length_ns) == (b.due_ns, b.length_ns)));
        assert!(wrong.iter().any(|a| a.length_ns != a.announced_ns));
    }

    #[test]
    fn shape() {
        let all = arrivals(1, Duration::from_secs(2000), 0.8, 0.0);
        let mut lengths: Vec<f64> = all.iter().map(|a| a.length_ns as f64).collect();
        lengths.sort_by(f64::total_cmp);
        let at = |part: f64| lengths[(part * lengths.len() as f64) as usize];

        // The quantiles of the distribution: median * exp(sigma * z).
        assert!((at(0.5) / MEDIAN_NS - 1.0).abs() < 0.05);
        assert!((at(0.9) / (MEDIAN_NS * (SIGMA * 1.2816).exp()) - 1.0).abs() < 0.05);
        // As much work as was asked for.
        let work = lengths.iter().sum::<f64>() / 2000e9;
        assert!((work / 0.8 - 1.0).abs() < 0.05, "{work}");
    }
}
