// SPDX-License-Identifier: GPL-2.0

//! What is shown of a load, and what a policy is to reach.

use sched_bpf_stats::{Estimate, Figure};

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
    Goal {
        column: ("mean", Values::Duration, MEAN),
        bound: Bound::Below(0.6),
    },
    Goal {
        column: ("long_p99", Values::Long, q(0.99)),
        bound: Bound::Below(1.1),
    },
    Goal {
        column: ("bystander_max", Values::Bystander, MAX),
        bound: Bound::None,
    },
];

const MIX_GOALS: &[Goal] = &[
    Goal {
        column: ("wait_p99.9", Values::Wait, q(0.999)),
        bound: Bound::Below(0.2),
    },
    Goal {
        column: ("work", Values::Work, MEAN),
        bound: Bound::Above(0.99),
    },
    Goal {
        column: ("held_max", Values::Bystander, MAX),
        bound: Bound::None,
    },
];

const LOCK_GOALS: &[Goal] = &[
    Goal {
        column: ("served", Values::Served, MEAN),
        bound: Bound::Above(1.5),
    },
    Goal {
        column: ("wait_p99.9", Values::Wait, q(0.999)),
        bound: Bound::None,
    },
    Goal {
        column: ("beside", Values::Beside, MEAN),
        bound: Bound::None,
    },
];

const FRAME_GOALS: &[Goal] = &[
    Goal {
        column: ("missed", Values::Missed, MEAN),
        bound: Bound::Below(0.2),
    },
    Goal {
        column: ("built", Values::Beside, MEAN),
        bound: Bound::Above(0.9),
    },
    Goal {
        column: ("job_mean", Values::Jobs, MEAN),
        bound: Bound::None,
    },
];

/// Served, and not later; what is served more is taken from those beside, up to their share.
const fn request_goals(served: f64) -> [Goal; 4] {
    [
        Goal {
            column: ("served", Values::Served, MEAN),
            bound: Bound::Above(served),
        },
        Goal {
            column: ("p99", Values::Duration, q(0.99)),
            bound: Bound::Below(1.0),
        },
        Goal {
            column: ("beside", Values::Beside, MEAN),
            bound: Bound::None,
        },
        Goal {
            column: ("held_max", Values::Bystander, MAX),
            bound: Bound::None,
        },
    ]
}

const REQUEST_GOALS: &[Goal] = &request_goals(1.01);

const OVERLOAD_GOALS: &[Goal] = &request_goals(1.1);

impl Load {
    /// What is shown of it.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Functions => FUNCTIONS,
            Self::Mix => MIX,
            Self::Locks => LOCKS,
            Self::Frames => FRAMES,
            Self::Requests | Self::Overload => REQUESTS,
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
        }
    }

    /// What the tables are about.
    pub fn about(self) -> &'static str {
        match self {
            Self::Functions => {
                "Functions of widely spread length on one CPU: durations of all and of the long \
                 ones (from 30 ms on), how long they waited for their first instruction, and how \
                 long a bystander waited that works for 0.1 ms every 10 ms"
            }
            Self::Mix => {
                "Tasks in many cgroups on one CPU, interactive and computing by turns: how long \
                 those that were due waited; how long a piece of 1 ms of computing was held up; \
                 the work of all in a run"
            }
            Self::Frames => {
                "A pipeline that makes 60 frames a second beside a build, on one CPU: the time \
                 of frames that were missed in a run, how long frames took; the work of jobs \
                 that ended, and how long those took"
            }
            Self::Requests => {
                "Requests to a service beside as many threads that compute, on one CPU, that \
                 need its share of it: the work of those that ended in a run, how long they \
                 took, and until a worker took them; the work of those beside them, and how \
                 long a piece of 1 ms of it was held up"
            }
            Self::Overload => {
                "The same service with requests that need 1.2 of its share: the work of those \
                 that ended in a run, how long they took, and until a worker took them; the \
                 work of those beside them, and how long a piece of 1 ms of it was held up"
            }
            Self::Locks => {
                "Threads that contend for a lock beside as many that compute, on one CPU: their \
                 work in a run, how long they waited for the lock, how long a turn took; the \
                 work of those beside them, and how long a piece of 1 ms of it was held up"
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
