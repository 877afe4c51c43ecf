// SPDX-License-Identifier: GPL-2.0

//! Units of what the scheduler measures.
//!
//! Points in time, spans of time, and the same of virtual time, are different types, so that they
//! cannot be compared with one another. No operation here panics or overflows: a policy must not,
//! with an rq lock held. That is why these are not the types of [`kernel::time`], whose sums and
//! differences panic with `CONFIG_RUST_OVERFLOW_CHECKS`.

use core::ops::{
    Add,
    Sub, //
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A span of time, or of execution, in nanoseconds.
///
/// # Examples
///
/// ```ignore
/// # fn example() {
/// let cap = Nanos::from_millis(10);
///
/// assert!(Nanos::new(9_999_999) < cap);
/// assert_eq!(Nanos::ZERO - cap, Nanos::ZERO);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(u64);

impl Nanos {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// A span of this many nanoseconds.
    #[inline]
    pub const fn new(ns: u64) -> Self {
        Self(ns)
    }

    /// A span of this many microseconds, or the longest span if that does not fit.
    #[inline]
    pub const fn from_micros(us: u64) -> Self {
        Self(us.saturating_mul(1_000))
    }

    /// A span of this many milliseconds, or the longest span if that does not fit.
    #[inline]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// How many nanoseconds it has.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// The difference, or no time if the second span is the longer one.
impl Sub for Nanos {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// A moving average of spans, which forgets an eighth of the past with each sample.
///
/// CPUs may add samples at the same time; the last one wins.
pub struct Average(Atomic<u64>);

impl Average {
    /// Of nothing: no average of spans is as long.
    const EMPTY: u64 = u64::MAX;

    /// The average, [`None`] before the first sample.
    #[inline]
    pub fn get(&self) -> Option<Nanos> {
        match self.0.load(Relaxed) {
            Self::EMPTY => None,
            ns => Some(Nanos(ns)),
        }
    }

    /// Adds a sample, which the average is of if it is the first one; otherwise it counts for an
    /// eighth. Returns the average.
    #[inline]
    pub fn add(&self, sample: Nanos) -> Nanos {
        let ns = self.get().map_or(sample.0, |Nanos(past)| {
            (past - past / 8).saturating_add(sample.0 / 8)
        });
        let average = ns.min(Self::EMPTY - 1);

        self.0.store(average, Relaxed);
        Nanos(average)
    }
}

impl Default for Average {
    fn default() -> Self {
        Self(Atomic::new(Self::EMPTY))
    }
}

/// A point in monotonic time, as of `CLOCK_MONOTONIC`.
///
/// # Examples
///
/// ```ignore
/// # fn example(cx: &RqLocked<'_>, began: Instant) {
/// let deadline = began + Nanos::from_millis(10);
///
/// if cx.now() > deadline {
///     let late: Nanos = cx.now() - deadline;
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    #[inline]
    pub(crate) const fn new(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the machine was booted, without the time in which it was suspended.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// The span from the second point to the first, or no time if the second is the later one.
impl Sub for Instant {
    type Output = Nanos;

    #[inline]
    fn sub(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The point that is later by the span, or the last one there is.
impl Add<Nanos> for Instant {
    type Output = Self;

    #[inline]
    fn add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A point in the virtual time of a CPU, in which each task advances at a rate of one by its
/// weight: a vruntime or a deadline.
///
/// Points of one CPU only can be compared, and they wrap, so that they have no total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualTime(u64);

impl VirtualTime {
    #[inline]
    pub(crate) const fn new(ns: u64) -> Self {
        Self(ns)
    }

    /// How far this point is after `other`, negative if it is before.
    #[inline]
    pub const fn since(self, other: Self) -> VirtualDelta {
        VirtualDelta(self.0.wrapping_sub(other.0) as i64)
    }

    /// The nanoseconds of virtual time, which mean something in comparison only.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

/// A span of virtual time, in nanoseconds as a task of nice 0 runs them; it may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualDelta(i64);

impl VirtualDelta {
    /// No time.
    pub const ZERO: Self = Self(0);

    #[inline]
    pub(crate) const fn new(ns: i64) -> Self {
        Self(ns)
    }

    /// How many nanoseconds it has.
    #[inline]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }
}

/// A share of the CPU, relative to that of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(usize);

impl Weight {
    #[inline]
    pub(crate) const fn new(weight: usize) -> Self {
        Self(weight)
    }

    /// As `sched_entity::h_load.weight`: `NICE_0_LOAD`, which is 1 048 576 on 64-bit machines,
    /// for a task of nice 0 that is in no cgroup with the cpu controller.
    #[inline]
    pub const fn as_usize(self) -> usize {
        self.0
    }
}
