// SPDX-License-Identifier: GPL-2.0

//! Messages from callbacks to code that may sleep.

use super::{
    Asked,
    Process, //
};
use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Relaxed,
    Release, //
};

/// A place for a message.
struct Slot {
    /// Twice the number of messages that were taken from here, one more if there is one.
    state: Atomic<u64>,
    message: Atomic<u64>,
}

/// Up to `N` messages, numbers of a meaning that the policy gives them, that callbacks leave and
/// [`PolicyModule::work`](super::PolicyModule::work) takes, in the order in which they were left.
/// Neither waits for a lock.
///
/// # Examples
///
/// ```ignore
/// static LONG_RUNS: Mailbox<64> = Mailbox::new();
///
/// # fn callback(cx: &RqLocked<'_>, task: Task<'_>) {
/// // In a callback:
/// if LONG_RUNS.post(cx, task.pid() as u64) {
///     cx.schedule_work();
/// }
/// # }
///
/// # fn work(cx: &Process<'_>) {
/// // In `PolicyModule::work()`:
/// while let Some(pid) = LONG_RUNS.take(cx) {
///     cx.info(fmt!("{pid} runs long\n"));
/// }
/// # }
/// ```
pub struct Mailbox<const N: usize> {
    slots: [Slot; N],
    posted: Atomic<u64>,
    taken: Atomic<u64>,
}

impl<const N: usize> Mailbox<N> {
    const CHECKED: u64 = {
        assert!(N > 0, "a mailbox has room for a message");
        N as u64
    };

    /// An empty mailbox, which may be a static one.
    pub const fn new() -> Self {
        Self {
            slots: [const {
                Slot {
                    state: Atomic::new(0),
                    message: Atomic::new(0),
                }
            }; N],
            posted: Atomic::new(0),
            taken: Atomic::new(0),
        }
    }

    /// The slot of the message with this number, and how many were taken from it before.
    #[inline]
    fn slot(&self, number: u64) -> Option<(&Slot, u64)> {
        let index = (number % Self::CHECKED) as usize;

        Some((self.slots.get(index)?, number / Self::CHECKED))
    }

    /// Leaves a message. Returns whether there was room for it.
    #[inline]
    pub fn post(&self, _cx: &Asked<'_>, message: u64) -> bool {
        loop {
            let number = self.posted.load(Relaxed);
            let Some((slot, before)) = self.slot(number) else {
                return false;
            };

            // Pairs with the release in `take()`.
            if slot.state.load(Acquire) != before.wrapping_mul(2) {
                // There still is one, unless another CPU was faster: then the number is another.
                if self.posted.load(Relaxed) == number {
                    return false;
                }
                continue;
            }
            if self
                .posted
                .cmpxchg(number, number.wrapping_add(1), Relaxed)
                .is_ok()
            {
                slot.message.store(message, Relaxed);
                // Pairs with the acquire in `take()`.
                slot.state
                    .store(before.wrapping_mul(2).wrapping_add(1), Release);
                return true;
            }
        }
    }

    /// Takes the message that has been there for the longest time, if there is one.
    pub fn take(&self, _cx: &Process<'_>) -> Option<u64> {
        loop {
            let number = self.taken.load(Relaxed);
            let (slot, before) = self.slot(number)?;

            // Pairs with the release in `post()`.
            if slot.state.load(Acquire) != before.wrapping_mul(2).wrapping_add(1) {
                if self.taken.load(Relaxed) == number {
                    return None;
                }
                continue;
            }
            if self
                .taken
                .cmpxchg(number, number.wrapping_add(1), Relaxed)
                .is_ok()
            {
                let message = slot.message.load(Relaxed);

                // Pairs with the acquire in `post()`.
                slot.state
                    .store(before.wrapping_mul(2).wrapping_add(2), Release);
                return Some(message);
            }
        }
    }
}

impl<const N: usize> Default for Mailbox<N> {
    fn default() -> Self {
        Self::new()
    }
}
