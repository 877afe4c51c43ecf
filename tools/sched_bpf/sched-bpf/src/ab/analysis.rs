// SPDX-License-Identifier: GPL-2.0

//! Whether arms differ.
//!
//! What spreads are blocks: windows of one block are neighbours in time and met about the same
//! load, and their order is random, so that without a difference between the arms each is as
//! likely to have the larger value.

use anyhow::{Context, Result};
use sched_bpf_stats::{bootstrap, Estimate, Sequence};
use serde::Serialize;

use super::measure::{Measured, Metric};
use super::plan::Arm;

/// How often an interval misses the truth, at most.
pub const ALPHA: f64 = 0.05;

/// What was measured in a block.
pub struct Block {
    /// Under A
    pub a: Measured,
    /// Under B, or under A again
    pub b: Measured,
}

impl Block {
    fn of(&self, arm: Arm) -> &Measured {
        match arm {
            Arm::A => &self.a,
            Arm::B => &self.b,
        }
    }
}

/// How a metric compares.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Which metric
    pub metric: Metric,
    /// Its value under A, all blocks together
    pub a: f64,
    /// Its value under B
    pub b: f64,
    /// Is the change a ratio, B / A, or a difference, B - A?
    pub ratio: bool,
    /// Blocks that have a value of both arms
    pub blocks: usize,
    /// Blocks that were left out, as nothing was measured there
    pub left_out: usize,
    /// The change with its interval, by the bootstrap over blocks: for one look, after as many
    /// blocks as were planned
    pub change: Estimate,
    /// The mean change of a block, with an interval that holds at all times together
    pub at_any_time: Estimate,
}

impl Compared {
    /// What the change is where there is none.
    pub fn none(&self) -> f64 {
        none(self.metric)
    }

    /// The change as a ratio to A; none if A is 0.
    pub fn as_ratio(&self, change: Estimate) -> Option<Estimate> {
        if self.ratio {
            return Some(change);
        }
        (self.a > 0.0).then(|| change.map(|difference| 1.0 + difference / self.a))
    }
}

/// What the change of a metric is where there is none.
pub fn none(metric: Metric) -> f64 {
    if metric.is_ratio() {
        1.0
    } else {
        0.0
    }
}

/// The change as it is averaged, as ratios go by their logarithms.
fn change(metric: Metric, a: f64, b: f64) -> f64 {
    if metric.is_ratio() {
        (b / a).ln()
    } else {
        b - a
    }
}

/// The blocks that have a value of a metric under both arms, with these.
fn known(metric: Metric, blocks: &[Block]) -> Vec<(&Block, f64, f64)> {
    blocks
        .iter()
        .filter_map(|block| {
            let of = |arm| metric.of(std::iter::once(block.of(arm)));
            Some((block, of(Arm::A)?, of(Arm::B)?))
        })
        .collect()
}

/// Back from the scale of [`change`].
fn scaled(metric: Metric, e: Estimate) -> Estimate {
    if metric.is_ratio() {
        e.map(f64::exp)
    } else {
        e
    }
}

/// The mean change of a block, with an interval that misses the truth at any time with
/// probability `alpha`. None if it was measured in no block.
pub fn at_any_time(metric: Metric, blocks: &[Block], alpha: f64) -> Option<Estimate> {
    let mut sequence = Sequence::new(metric.rounding());

    for (_, a, b) in known(metric, blocks) {
        sequence.push(change(metric, a, b));
    }
    Some(scaled(metric, sequence.estimate(alpha)?))
}

/// Compares the arms of `blocks` by a metric, with intervals that miss the truth with
/// probability `alpha`. None if it was measured in no block.
pub fn compare(
    metric: Metric,
    blocks: &[Block],
    seed: u64,
    alpha: f64,
) -> Result<Option<Compared>> {
    let known = known(metric, blocks);
    let of = |arm, drawn: &[usize]| metric.of(drawn.iter().map(|i| known[*i].0.of(arm)));
    let all: Vec<usize> = (0..known.len()).collect();
    let (Some(a), Some(b), Some(at_any_time)) = (
        of(Arm::A, &all),
        of(Arm::B, &all),
        at_any_time(metric, blocks, alpha),
    ) else {
        return Ok(None);
    };
    let drawn = bootstrap(known.len(), seed, |drawn| {
        let both = of(Arm::A, drawn).zip(of(Arm::B, drawn));
        let (a, b) = both.context("a block without a value")?;
        Ok(change(metric, a, b))
    })?;

    Ok(Some(Compared {
        metric,
        a,
        b,
        ratio: metric.is_ratio(),
        blocks: known.len(),
        left_out: blocks.len() - known.len(),
        change: scaled(metric, drawn.student(alpha, metric.rounding())),
        at_any_time,
    }))
}

/// Compares by all metrics.
pub fn compare_all(
    metrics: &[Metric],
    blocks: &[Block],
    seed: u64,
    alpha: f64,
) -> Result<Vec<Compared>> {
    let mut all = Vec::new();

    for metric in metrics {
        all.extend(compare(*metric, blocks, seed, alpha)?);
    }
    Ok(all)
}

/// Compares A with itself. What differs there fails the trial; any metric does with a
/// probability of [`ALPHA`] together, however many there are.
pub fn same(metrics: &[Metric], blocks: &[Block], seed: u64) -> Result<Vec<Compared>> {
    compare_all(metrics, blocks, seed, ALPHA / metrics.len().max(1) as f64)
}

/// The metrics that differ.
pub fn differing(all: &[Compared]) -> Vec<Metric> {
    all.iter()
        .filter(|c| !c.change.holds(c.none()))
        .map(|c| c.metric)
        .collect()
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::super::measure::tests::measured;
    use super::*;

    const ALL: [Metric; 4] = [
        Metric::WakeupMeanUs,
        Metric::WakeupP99Us,
        Metric::WaitMsPerS,
        Metric::ThroughputPerS,
    ];

    fn normal(rng: &mut Rng) -> f64 {
        (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
    }

    /// A window of a host whose load drifts: waits with a long tail, `factor` times as long.
    fn window(rng: &mut Rng, load: f64, factor: f64) -> Measured {
        let median = 20e3 * load * (0.2 * normal(rng)).exp() * factor;
        let waits: Vec<_> = (0..100)
            .map(|_| ((median * (1.2 * normal(rng)).exp()) as u64, 1))
            .collect();

        measured(&waits, 500.0 * load + 10.0 * normal(rng))
    }

    fn trial(rng: &mut Rng, blocks: usize, factor: f64) -> Vec<Block> {
        (0..blocks)
            .map(|_| {
                // The load is that of the block: 1/2 to 2 of what is usual.
                let load = 2.0_f64.powf(2.0 * rng.f64() - 1.0);
                Block {
                    a: window(rng, load, 1.0),
                    b: window(rng, load, factor),
                }
            })
            .collect()
    }

    /// Trials of A with itself: false alarms of the gate, of an interval of one metric, and of
    /// the one that is looked at after each block.
    #[test]
    fn false_alarms() {
        let mut rng = Rng::with_seed(11);
        let (mut gate, mut one, mut early) = (0, 0, 0);
        let metric = Metric::WakeupMeanUs;

        for seed in 0..1000 {
            let blocks = trial(&mut rng, 10, 1.0);
            // Quantiles take their time.
            if seed < 60 {
                gate += usize::from(!differing(&same(&ALL, &blocks, seed).unwrap()).is_empty());
            }
            let c = compare(metric, &blocks, seed, ALPHA).unwrap().unwrap();
            one += usize::from(!c.change.holds(1.0));
            let looked = |n| at_any_time(metric, &blocks[..n], ALPHA).unwrap();
            early += usize::from((1..=10).any(|n| !looked(n).holds(1.0)));
        }
        println!("{gate} of 60 by the gate, {one} of 1000, {early} of 1000 at any time");
        // What is above these is one in a thousand, if 5 % are.
        assert!(gate <= 9 && one <= 72 && early <= 50);
    }

    /// Waits are half as long: that is found, and the ratio is in the intervals.
    #[test]
    fn a_known_effect_is_found() {
        let mut rng = Rng::with_seed(12);
        let (mut found, mut early, mut held) = (0, 0, 0);

        for seed in 0..50 {
            let blocks = trial(&mut rng, 12, 0.5);
            let c = compare(Metric::WakeupMeanUs, &blocks, seed, ALPHA)
                .unwrap()
                .unwrap();
            found += u32::from(c.change.high < 1.0);
            early += u32::from(c.at_any_time.high < 1.0);
            held += u32::from(c.change.holds(0.5));
            assert!(c.ratio && c.blocks == 12 && c.left_out == 0);
        }
        assert!(
            found >= 48 && early >= 48 && held >= 43,
            "{found} {early} {held}"
        );
    }

    #[test]
    fn differences_and_what_is_left_out() {
        let block = |a: f64, b: f64| Block {
            a: measured(&[(1000, 1)], a),
            b: measured(if b > 0.0 { &[(1000, 1)] } else { &[] }, b),
        };
        let blocks = [block(10.0, 12.0), block(20.0, 22.0), block(10.0, 0.0)];
        let of = |metric| compare(metric, &blocks, 1, ALPHA).unwrap();
        let c = of(Metric::ThroughputPerS).unwrap();

        assert_eq!((c.a, c.b, c.left_out), (40.0 / 3.0, 34.0 / 3.0, 0));
        assert!((c.change.value + 2.0).abs() < 1e-9 && !c.ratio);
        assert!((c.as_ratio(c.change).unwrap().value - 0.85).abs() < 1e-9);
        assert_eq!(of(Metric::WakeupMeanUs).unwrap().left_out, 1);
        assert!(of(Metric::PsiCpuPct).is_none());
        assert!(compare(Metric::WaitMsPerS, &[], 1, ALPHA)
            .unwrap()
            .is_none());
    }
}
