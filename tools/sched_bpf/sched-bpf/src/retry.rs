// SPDX-License-Identifier: GPL-2.0

//! When a policy that the kernel detached is attached again: after pauses that grow, and so
//! many times in a row.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// How often in a row it is tried.
const MAX_TRIES: u32 = 8;

/// How long it has to stay attached for what was before not to matter.
const STEADY: Duration = Duration::from_secs(600);

/// Of one policy.
#[derive(Debug, Default)]
pub struct Retry {
    /// In a row
    tries: u32,
    /// In a row, since when the cgroup was not there included
    pauses: u32,
    attached: Option<Instant>,
    next: Option<Instant>,
    /// Tries in all
    pub total: u64,
    /// It is not tried before a reload
    pub given_up: bool,
}

impl Retry {
    /// It is attached.
    pub fn attached(&mut self, now: Instant) {
        self.attached = Some(now);
        self.next = None;
    }

    /// It was detached. For no fault of its own the tries before do not count, though the
    /// pauses grow on. Returns how long to wait, or none if it was tried too often.
    pub fn detached(&mut self, now: Instant, own_fault: bool) -> Option<Duration> {
        let steady = self.attached.is_some_and(|since| now - since >= STEADY);

        if steady {
            self.pauses = 0;
        }
        if steady || !own_fault {
            self.tries = 0;
        }
        self.failed(now)
    }

    /// It could not be attached. Returns as above.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        if self.tries == MAX_TRIES {
            self.give_up();
            return None;
        }
        Some(self.wait(now))
    }

    /// There is nothing to attach it to yet, which is no try.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let pause = LAST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(self.pauses.min(10)));

        self.pauses += 1;
        self.next = Some(now + pause);
        pause
    }

    /// It is tried.
    pub fn started(&mut self) {
        self.tries += 1;
        self.total += 1;
        self.next = None;
    }

    /// It stays detached.
    pub fn give_up(&mut self) {
        self.next = None;
        self.given_up = true;
    }

    /// How long it is to be waited.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn pauses_grow_to_a_bound_and_tries_end() {
        let mut retry = Retry::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();

        retry.attached(now);
        while let Some(pause) = retry.detached(now, true) {
            pauses.push(pause.as_secs());
            assert_eq!(retry.left(now), Some(pause));
            now += pause;
            assert_eq!(retry.left(now), Some(seconds(0)));
            retry.started();
            retry.attached(now);
            assert_eq!(retry.left(now), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(retry.given_up && retry.left(now).is_none());
        assert_eq!(retry.total, u64::from(MAX_TRIES));
    }

    #[test]
    fn what_stayed_attached_starts_anew() {
        let mut retry = Retry::default();
        let now = Instant::now();

        retry.attached(now);
        assert_eq!(retry.detached(now, true), Some(seconds(1)));
        retry.started();
        retry.attached(now);
        assert_eq!(retry.detached(now + seconds(9), true), Some(seconds(2)));
        retry.started();
        retry.attached(now);
        assert_eq!(retry.detached(now + STEADY, true), Some(seconds(1)));
    }

    #[test]
    fn a_cgroup_is_waited_for_without_end() {
        let mut retry = Retry::default();
        let now = Instant::now();

        for _ in 0..100 {
            assert!(retry.wait(now) <= LAST_PAUSE);
        }
        assert!(!retry.given_up && retry.total == 0);
        for _ in 0..20 {
            retry.started();
            retry.attached(now);
            assert_eq!(retry.detached(now, false), Some(LAST_PAUSE));
        }
    }
}
