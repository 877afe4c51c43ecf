// SPDX-License-Identifier: GPL-2.0

//! Percentiles of samples.

/// Percentiles of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Half of the samples are not longer
    pub p50: u64,
    /// 90 of 100 samples are not longer
    pub p90: u64,
    /// 99 of 100 samples are not longer
    pub p99: u64,
    /// The longest
    pub max: u64,
}

/// The smallest of `sorted` that `percent` percent of all are not above
/// (nearest rank); 0 if there is none.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);

    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Percentiles of `samples`, which get sorted.
pub fn summarize(samples: &mut [u64]) -> Summary {
    samples.sort_unstable();

    Summary {
        p50: percentile(samples, 50),
        p90: percentile(samples, 90),
        p99: percentile(samples, 99),
        max: samples.last().copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_one() {
        assert_eq!(summarize(&mut []), Summary::default());

        let all = Summary {
            p50: 7,
            p90: 7,
            p99: 7,
            max: 7,
        };
        assert_eq!(summarize(&mut [7]), all);
    }

    #[test]
    fn hundred_in_any_order() {
        let mut samples: Vec<u64> = (1..=100).rev().collect();
        let all = Summary {
            p50: 50,
            p90: 90,
            p99: 99,
            max: 100,
        };
        assert_eq!(summarize(&mut samples), all);
    }

    #[test]
    fn nearest_rank_rounds_up() {
        assert_eq!(percentile(&[1, 2, 3], 50), 2);
        assert_eq!(percentile(&[1, 2, 3], 99), 3);
        assert_eq!(percentile(&[1, 2, 3, 4], 50), 2);
    }
}
