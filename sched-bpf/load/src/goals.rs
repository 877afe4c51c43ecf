// SPDX-License-Identifier: GPL-2.0

//! What is shown of a load, and what a policy is to reach.

use sched_bpf_statistics::{Estimate, Figure};

use crate::cli::Load;
use crate::results::Values;

/// A column of the tables: its name, and what it is a figure of.
pub type Column = (&'static str, Values, Figure);

/// What a ratio to stock has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// It is shown only
    None,
    /// At most this, with its whole interval
    Below(f64),
    /// At least this, with its whole interval
    Above(f64),
}

impl Bound {
    /// Is it kept?
    pub fn is_kept(self, ratio: Estimate) -> bool {
        match self {
            Self::None => true,
            Self::Below(bound) => ratio.high <= bound,
            Self::Above(bound) => ratio.low >= bound,
        }
    }

    /// Is more of it better?
    pub fn wants_more(self) -> bool {
        matches!(self, Self::Above(_))
    }

    /// In words, empty if there is none.
    pub fn text(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Below(bound) => format!("at most {bound} of stock"),
            Self::Above(bound) => format!("at least {bound} of stock"),
        }
    }
}

/// A ratio to stock. By the first of a load static settings are told from better ones.
pub struct Goal {
    /// What the ratio is of
    pub column: Column,
    /// What it has to be
    pub bound: Bound,
}

const MEAN: Figure = Figure::Mean;
const MAX: Figure = Figure::Max;

const fn q(part: f64) -> Figure {
    Figure::Quantile(part)
}

const fn goal(name: &'static str, values: Values, figure: Figure, bound: Bound) -> Goal {
    Goal {
        column: (name, values, figure),
        bound,
    }
}

const FUNCTIONS: &[Column] = &[
    ("mean", Values::Duration, MEAN),
    ("p50", Values::Duration, q(0.5)),
    ("p90", Values::Duration, q(0.9)),
    ("p99", Values::Duration, q(0.99)),
    ("p99.9", Values::Duration, q(0.999)),
    ("p99.99", Values::Duration, q(0.9999)),
    ("max", Values::Duration, MAX),
    ("long_p99", Values::Long, q(0.99)),
    ("wait_p99", Values::Wait, q(0.99)),
    ("bystander_p99", Values::Bystander, q(0.99)),
    ("bystander_max", Values::Bystander, MAX),
];

const MIX: &[Column] = &[
    ("wait_mean", Values::Wait, MEAN),
    ("wait_p50", Values::Wait, q(0.5)),
    ("wait_p90", Values::Wait, q(0.9)),
    ("wait_p99", Values::Wait, q(0.99)),
    ("wait_p99.9", Values::Wait, q(0.999)),
    ("wait_p99.99", Values::Wait, q(0.9999)),
    ("wait_max", Values::Wait, MAX),
    ("held_p99", Values::Bystander, q(0.99)),
    ("held_max", Values::Bystander, MAX),
    ("work", Values::Work, MEAN),
];

const LOCKS: &[Column] = &[
    ("served", Values::Served, MEAN),
    ("wait_mean", Values::Wait, MEAN),
    ("wait_p99", Values::Wait, q(0.99)),
    ("wait_p99.9", Values::Wait, q(0.999)),
    ("wait_max", Values::Wait, MAX),
    ("duration_p99", Values::Duration, q(0.99)),
    ("beside", Values::Beside, MEAN),
    ("held_p99", Values::Bystander, q(0.99)),
    ("held_max", Values::Bystander, MAX),
];

const FRAMES: &[Column] = &[
    ("missed", Values::Missed, MEAN),
    ("mean", Values::Duration, MEAN),
    ("p50", Values::Duration, q(0.5)),
    ("p90", Values::Duration, q(0.9)),
    ("p99", Values::Duration, q(0.99)),
    ("max", Values::Duration, MAX),
    ("built", Values::Beside, MEAN),
    ("job_mean", Values::Jobs, MEAN),
    ("job_max", Values::Jobs, MAX),
];

const REQUESTS: &[Column] = &[
    ("served", Values::Served, MEAN),
    ("mean", Values::Duration, MEAN),
    ("p50", Values::Duration, q(0.5)),
    ("p90", Values::Duration, q(0.9)),
    ("p99", Values::Duration, q(0.99)),
    ("p99.9", Values::Duration, q(0.999)),
    ("max", Values::Duration, MAX),
    ("queue_p99", Values::Wait, q(0.99)),
    ("beside", Values::Beside, MEAN),
    ("held_p99", Values::Bystander, q(0.99)),
    ("held_max", Values::Bystander, MAX),
];

const FUNCTION_GOALS: &[Goal] = &[
    goal("mean", Values::Duration, MEAN, Bound::Below(0.6)),
    goal("long_p99", Values::Long, q(0.99), Bound::Below(1.1)),
    goal("bystander_max", Values::Bystander, MAX, Bound::None),
];

const MIX_GOALS: &[Goal] = &[
    goal("wait_p99.9", Values::Wait, q(0.999), Bound::Below(0.2)),
    goal("work", Values::Work, MEAN, Bound::Above(0.99)),
    goal("held_max", Values::Bystander, MAX, Bound::None),
];

const LOCK_GOALS: &[Goal] = &[
    goal("served", Values::Served, MEAN, Bound::Above(1.5)),
    goal("wait_p99.9", Values::Wait, q(0.999), Bound::None),
    goal("beside", Values::Beside, MEAN, Bound::None),
];

const FRAME_GOALS: &[Goal] = &[
    goal("missed", Values::Missed, MEAN, Bound::Below(0.2)),
    goal("built", Values::Beside, MEAN, Bound::Above(0.9)),
    goal("job_mean", Values::Jobs, MEAN, Bound::None),
];

/// Served, and not later; what is served more is taken from those beside, up to their share.
const fn request_goals(served: f64) -> [Goal; 4] {
    [
        goal("served", Values::Served, MEAN, Bound::Above(served)),
        goal("p99", Values::Duration, q(0.99), Bound::Below(1.0)),
        goal("beside", Values::Beside, MEAN, Bound::None),
        goal("held_max", Values::Bystander, MAX, Bound::None),
    ]
}

const REQUEST_GOALS: &[Goal] = &request_goals(1.01);

const DEMO_GOALS: &[Goal] = &[
    goal("p99", Values::Duration, q(0.99), Bound::Below(0.9)),
    goal("held_p99", Values::Bystander, q(0.99), Bound::None),
];

const OVERLOAD_GOALS: &[Goal] = &request_goals(1.1);

impl Load {
    /// What is shown of it.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Functions => FUNCTIONS,
            Self::Mix => MIX,
            Self::Locks => LOCKS,
            Self::Frames => FRAMES,
            Self::Requests | Self::Overload | Self::Demo => REQUESTS,
        }
    }

    /// What a policy is to reach.
    pub fn goals(self) -> &'static [Goal] {
        match self {
            Self::Functions => FUNCTION_GOALS,
            Self::Mix => MIX_GOALS,
            Self::Locks => LOCK_GOALS,
            Self::Frames => FRAME_GOALS,
            Self::Requests => REQUEST_GOALS,
            Self::Overload => OVERLOAD_GOALS,
            Self::Demo => DEMO_GOALS,
        }
    }

    /// What the tables are about.
    pub fn about(self) -> &'static str {
        match self {
            Self::Functions => {
                "Functions of heavy-tailed length on one CPU: durations of all and of long ones \
                 (30 ms or more), their waits for the first instruction, and the waits of a \
                 bystander that works for 0.1 ms every 10 ms"
            }
            Self::Mix => {
                "Tasks in many cgroups on one CPU, interactive and CPU-bound alternately: waits \
                 of those that were due; delays of a piece of 1 ms of computing; the work of all"
            }
            Self::Frames => {
                "A pipeline that makes 60 frames a second next to a build, on one CPU: the time \
                 of missed frames, durations of frames; the work and the durations of jobs"
            }
            Self::Requests | Self::Overload | Self::Demo => {
                "Requests to a service next to as many CPU-bound threads, on one CPU: the work of \
                 those that ended, their durations, and their time in the queue; the work of the \
                 other threads, and delays of a piece of 1 ms of it"
            }
            Self::Locks => {
                "Threads that contend for a lock next to as many CPU-bound ones, on one CPU: their \
                 work, their waits for the lock, durations of a turn; the work of the others, and \
                 delays of a piece of 1 ms of it"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let e = |low, high| Estimate {
            value: low,
            low,
            high,
        };

        assert!(Bound::Below(0.6).is_kept(e(0.5, 0.6)));
        assert!(!Bound::Below(0.6).is_kept(e(0.5, 0.61)));
        assert!(Bound::Above(0.99).is_kept(e(0.99, 1.0)));
        assert!(!Bound::Above(0.99).is_kept(e(0.98, 1.0)));
        assert!(Bound::None.is_kept(e(9.0, 9.0)));
    }
}
