// SPDX-License-Identifier: GPL-2.0

//! A pipeline of threads that makes 60 frames a second, beside a build, all on one CPU.
//!
//! Shape, fixed before anything was measured: a frame goes through 4 threads, each of which
//! works 1 ms for it on average, exponentially distributed, so that the pipeline takes 24 % of
//! the CPU; the build has 6 jobs at a time. A frame is missed if it does not end before the
//! next begins.

use std::time::Duration;

use anyhow::Result;

use crate::apart;
use crate::cli::FramesArgs;
use crate::jobs;
use crate::seen::Invocation;
use crate::stages::{self, Shape};

/// Time from a frame to the next, in nanoseconds.
pub const FRAME_NS: u64 = 16_666_667;

/// How many frames of a run of `time` were missed, of which those in `ended` ended in time,
/// late or not.
pub fn missed(time: Duration, ended: &[Invocation]) -> u64 {
    let due = (time.as_nanos() as u64 - 1) / FRAME_NS;
    let made = ended.iter().filter(|i| i.duration_ns <= FRAME_NS).count();

    due.saturating_sub(made as u64)
}

/// Runs both parts and prints a line for each frame that ended in time ("function"): its CPU
/// time, how much longer it took, and how long it took; and for each job of the build.
pub fn frames(args: &FramesArgs) -> Result<()> {
    let compared = &args.apart.compared;
    let shape = Shape {
        threads: args.threads,
        work_us: args.work_us,
        gap_ns: FRAME_NS,
    };

    apart::run(
        &args.apart,
        |when| stages::run(&shape, compared, when),
        |when| jobs::build(args.jobs, compared, when),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_or_never() {
        let ended = |duration_ns| Invocation {
            length_ns: 1,
            wait_ns: 0,
            duration_ns,
        };
        let time = Duration::from_secs(1);

        assert_eq!(missed(time, &[]), 59);
        assert_eq!(
            missed(time, &[ended(1), ended(FRAME_NS), ended(FRAME_NS + 1)]),
            57
        );
    }
}
