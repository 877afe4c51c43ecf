// SPDX-License-Identifier: GPL-2.0

//! The order of windows.

use fastrand::Rng;
use serde::Serialize;

/// An arm. In the phase that compares A with itself, B is A again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The first
    A,
    /// The second
    B,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Same,
    Trial,
}

/// A period under one arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    pub phase: Phase,
    /// Number of the block, from 0 on in each phase
    pub block: u32,
    /// The arm that is in force
    pub arm: Arm,
}

/// Return the windows of a trial in order: `same` blocks that compare A with itself, then `trial`
/// blocks. Each block has each arm once, in an order that follows from `seed`.
pub fn windows(same: u32, trial: u32, seed: u64) -> Vec<Window> {
    let mut rng = Rng::with_seed(seed);
    let blocks = (0..same)
        .map(|block| (Phase::Same, block))
        .chain((0..trial).map(|block| (Phase::Trial, block)));

    blocks
        .flat_map(|(phase, block)| {
            let order = if rng.bool() { [Arm::A, Arm::B] } else { [Arm::B, Arm::A] };
            order.map(|arm| Window { phase, block, arm })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_each_arm_once() {
        let all = windows(3, 5, 1);

        assert_eq!(all.len(), 16);
        for (i, pair) in all.chunks(2).enumerate() {
            let (phase, block) = if i < 3 { (Phase::Same, i) } else { (Phase::Trial, i - 3) };
            assert!(pair.iter().all(|w| w.phase == phase && w.block == block as u32));
            assert_ne!(pair[0].arm, pair[1].arm);
        }
    }

    #[test]
    fn order_follows_from_the_seed() {
        assert_eq!(windows(10, 20, 7), windows(10, 20, 7));
        assert_ne!(windows(10, 20, 7), windows(10, 20, 8));

        let first = (0..1000).filter(|seed| windows(0, 1, *seed)[0].arm == Arm::A).count();
        assert!((440..=560).contains(&first), "{first} of 1000");
    }
}
