// SPDX-License-Identifier: GPL-2.0

//! Differences between the arms.
//!
//! Blocks are the observations: the windows of a block are next to each other in time and met
//! about the same load, and their order is random. The changes of blocks are averaged, with an
//! interval of Student's t.

use sched_bpf_statistics::{interval, Estimate};
use serde::Serialize;

use super::measure::Measured;
use super::plan::{Arm, Phase, Window};
use crate::metric::Metric;

/// The probability with which an interval misses the truth.
pub const ALPHA: f64 = 0.05;

/// A window that was measured.
pub struct Seen {
    pub window: Window,
    /// Its begin, in seconds from the begin of the trial
    pub at_s: f64,
    /// False if the trial ended in it
    pub whole: bool,
    pub measured: Measured,
}

/// The measurements of a block.
pub struct Block {
    pub a: Measured,
    /// Under B, or under A again
    pub b: Measured,
}

/// Return the whole blocks of a phase, in order.
pub fn blocks(seen: &[Seen], phase: Phase) -> Vec<Block> {
    let of = |arm| {
        seen.iter().filter(move |s| s.whole && s.window.phase == phase && s.window.arm == arm)
    };

    of(Arm::A)
        .filter_map(|a| {
            let b = of(Arm::B).find(|b| b.window.block == a.window.block)?;
            Some(Block { a: a.measured.clone(), b: b.measured.clone() })
        })
        .collect()
}

/// A metric under both arms.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    pub metric: Metric,
    /// Its value under A, all blocks together
    pub a: f64,
    pub b: f64,
    /// The change is a ratio, B / A, or else a difference, B - A
    pub ratio: bool,
    /// Blocks with a value of both arms
    pub blocks: usize,
    pub left_out: usize,
    /// The mean change of a block
    pub change: Estimate,
}

impl Compared {
    /// Return true if the metric differs.
    pub fn differs(&self) -> bool {
        !self.change.holds(self.metric.none())
    }
}

/// Compare the arms by a metric, with intervals that miss the truth with probability `alpha`.
/// None if no block has a value.
pub fn compare(metric: Metric, blocks: &[Block], alpha: f64) -> Option<Compared> {
    let of = |measured: &Measured| metric.of(std::iter::once(measured));
    let known: Vec<&Block> =
        blocks.iter().filter(|block| of(&block.a).is_some() && of(&block.b).is_some()).collect();
    let changes: Vec<f64> = known
        .iter()
        .filter_map(|block| Some(metric.change(of(&block.a)?, of(&block.b)?)))
        .collect();
    let change = interval(&changes, alpha, metric.rounding())?;

    Some(Compared {
        metric,
        a: metric.of(known.iter().map(|block| &block.a))?,
        b: metric.of(known.iter().map(|block| &block.b))?,
        ratio: metric.is_ratio(),
        blocks: known.len(),
        left_out: blocks.len() - known.len(),
        change: if metric.is_ratio() { change.map(f64::exp) } else { change },
    })
}

/// Compare by all metrics: the primary one first, the others with intervals that are corrected
/// for their number (Bonferroni).
pub fn compare_all(metrics: &[Metric], primary: Metric, blocks: &[Block]) -> Vec<Compared> {
    let others = metrics.iter().filter(|metric| **metric != primary);
    let alpha = ALPHA / others.clone().count().max(1) as f64;

    compare(primary, blocks, ALPHA)
        .into_iter()
        .chain(others.filter_map(|metric| compare(*metric, blocks, alpha)))
        .collect()
}

/// Compare A with itself. Any metric differs with a probability of [`ALPHA`] together.
pub fn same(metrics: &[Metric], blocks: &[Block]) -> Vec<Compared> {
    let alpha = ALPHA / metrics.len().max(1) as f64;

    metrics.iter().filter_map(|metric| compare(*metric, blocks, alpha)).collect()
}

/// Return the metrics that differ.
pub fn differing(all: &[Compared]) -> Vec<Metric> {
    all.iter().filter(|c| c.differs()).map(|c| c.metric).collect()
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::super::measure::tests::measured;
    use super::*;

    const PRIMARY: Metric = Metric::WakeupMeanUs;

    fn normal(rng: &mut Rng) -> f64 {
        (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
    }

    /// A window on a host whose load drifts: heavy-tailed waits, `factor` times as long.
    fn window(rng: &mut Rng, load: f64, factor: f64) -> Measured {
        let median = 20e3 * load * (0.2 * normal(rng)).exp() * factor;
        let waits: Vec<_> =
            (0..20).map(|_| ((median * (1.2 * normal(rng)).exp()) as u64, 5)).collect();

        measured(&waits, 500.0 * load + 10.0 * normal(rng))
    }

    fn trial(rng: &mut Rng, blocks: usize, factor: f64) -> Vec<Block> {
        (0..blocks)
            .map(|_| {
                // The load is that of the block: 1/2 to 2 of the usual one.
                let load = 2.0_f64.powf(2.0 * rng.f64() - 1.0);
                Block { a: window(rng, load, 1.0), b: window(rng, load, factor) }
            })
            .collect()
    }

    /// False alarms in trials without a difference: 4 to 6 % by the primary metric, and by the
    /// others together, whatever the number of blocks. Counted in 4
    /// times 1000 trials, as 1000 alone vary by 1.4 % (two standard deviations).
    #[test]
    fn false_alarms() {
        for blocks in [3, 5, 10, 30] {
            let mut rng = Rng::with_seed(11);
            let (mut primary, mut throughput) = (0, 0);
            for _ in 0..4000 {
                let blocks = trial(&mut rng, blocks, 1.0);
                let c = compare(PRIMARY, &blocks, ALPHA).unwrap();
                primary += usize::from(c.differs());
                let c = compare(Metric::ThroughputPerS, &blocks, ALPHA).unwrap();
                throughput += usize::from(c.differs());
            }
            let counts = [primary / 4, throughput / 4];
            println!("{blocks} blocks: {counts:?} of 1000");
            assert!(counts.iter().all(|count| (40..=60).contains(count)), "{blocks} {counts:?}");
        }
    }

    #[test]
    fn a_known_effect_is_found() {
        let mut rng = Rng::with_seed(12);
        let (mut found, mut held) = (0, 0);

        for _ in 0..100 {
            let c = compare(PRIMARY, &trial(&mut rng, 20, 0.5), ALPHA).unwrap();
            found += u32::from(c.change.high < 1.0);
            held += u32::from(c.change.holds(0.5));
            assert!(c.ratio && c.blocks == 20 && c.left_out == 0);
        }
        assert!(found >= 95 && held >= 88, "{found} {held}");
    }

    #[test]
    fn others_are_corrected() {
        let blocks = trial(&mut Rng::with_seed(1), 10, 1.0);
        let metrics = [Metric::WaitMsPerS, PRIMARY, Metric::ThroughputPerS];
        let all = compare_all(&metrics, PRIMARY, &blocks);
        let width = |c: &Compared| c.change.high - c.change.low;
        let alone = compare(Metric::WaitMsPerS, &blocks, ALPHA).unwrap();

        assert_eq!(all[0].metric, PRIMARY);
        assert!(width(&all[1]) > width(&alone));
    }

    #[test]
    fn differences_and_blocks_without_a_value() {
        let block = |a: f64, b: f64| Block {
            a: measured(&[(1000, 1)], a),
            b: measured(if b > 0.0 { &[(1000, 1)] } else { &[] }, b),
        };
        let blocks = [block(10.0, 12.0), block(20.0, 22.0), block(10.0, 0.0)];
        let of = |metric| compare(metric, &blocks, ALPHA);
        let c = of(Metric::ThroughputPerS).unwrap();

        assert_eq!((c.a, c.b, c.left_out), (40.0 / 3.0, 34.0 / 3.0, 0));
        assert!((c.change.value + 2.0).abs() < 1e-9 && !c.ratio);
        assert_eq!(of(PRIMARY).unwrap().left_out, 1);
        assert!(compare(Metric::WaitMsPerS, &[], ALPHA).is_none());
    }

    #[test]
    fn only_whole_blocks() {
        let seen = |block, arm, throughput, whole| Seen {
            window: Window { phase: Phase::Trial, block, arm },
            at_s: 0.0,
            whole,
            measured: measured(&[], throughput),
        };
        let all = [
            seen(0, Arm::B, 1.0, true),
            seen(0, Arm::A, 2.0, true),
            seen(1, Arm::A, 3.0, true),
            seen(1, Arm::B, 4.0, false),
        ];
        let whole = blocks(&all, Phase::Trial);
        let throughput = |m: &Measured| Metric::ThroughputPerS.of(std::iter::once(m));

        assert_eq!(whole.len(), 1);
        assert_eq!(throughput(&whole[0].b), Some(1.0));
        assert!(blocks(&all, Phase::Same).is_empty());
    }
}
