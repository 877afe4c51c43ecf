// SPDX-License-Identifier: GPL-2.0

//! Retries of a policy that was disabled or could not be attached: after pauses that grow,
//! and so many in a row.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// Failures in a row after which it is not tried any more.
const MAX_FAILURES: u32 = 8;

/// Time in force after which earlier failures do not count.
const STEADY: Duration = Duration::from_secs(600);

/// The retries of one policy.
#[derive(Debug, Default)]
pub struct Retry {
    failures: u32,
    attached: Option<Instant>,
    next: Option<Instant>,
    pub total: u64,
    /// It is not tried before a reload
    pub given_up: bool,
}

impl Retry {
    /// Note that it is attached.
    pub fn attached(&mut self, now: Instant) {
        self.total += u64::from(self.failures > 0);
        self.attached = Some(now);
        self.next = None;
    }

    /// Note a failure. Returns the pause before the next try, none if it was the last one.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        if self.attached.take().is_some_and(|since| now - since >= STEADY) {
            self.failures = 0;
        }
        if self.failures == MAX_FAILURES {
            self.give_up();
            return None;
        }
        let pause = LAST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(self.failures));

        self.failures += 1;
        self.next = Some(now + pause);
        Some(pause)
    }

    /// Do not try again.
    pub fn give_up(&mut self) {
        self.next = None;
        self.given_up = true;
    }

    /// Return true if it may be tried now.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.given_up && self.next.is_none_or(|next| next <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut retry = Retry::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();

        assert!(retry.is_due(now));
        retry.attached(now);
        while let Some(pause) = retry.failed(now) {
            pauses.push(pause.as_secs());
            assert!(!retry.is_due(now));
            now += pause;
            assert!(retry.is_due(now));
            retry.attached(now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(retry.given_up && !retry.is_due(now));
        assert_eq!(retry.total, 8);
    }

    #[test]
    fn long_in_force_starts_anew() {
        let mut retry = Retry::default();
        let now = Instant::now();

        assert_eq!(retry.failed(now).unwrap().as_secs(), 1);
        retry.attached(now);
        assert_eq!(retry.failed(now).unwrap().as_secs(), 2);
        retry.attached(now);
        assert_eq!(retry.failed(now + STEADY).unwrap().as_secs(), 1);
    }
}
