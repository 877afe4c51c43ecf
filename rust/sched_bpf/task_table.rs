// SPDX-License-Identifier: GPL-2.0

//! What a policy remembers of each task.

use super::{
    error::code::EINVAL,
    Process,
    Result,
    RqLocked,
    Task, //
};
use kernel::{
    prelude::{
        KVVec,
        GFP_KERNEL, //
    },
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// What a [`TaskTable`] keeps of a task: atomics, mostly.
pub trait TaskState: Default + Send + Sync + 'static {
    /// Forgets all: the state is another task's from now on.
    fn reset(&self);
}

/// A place for the state of a task, zero `key` meaning that it was never used.
struct Slot<V> {
    key: Atomic<u64>,
    state: V,
}

/// State of tasks, in memory that is allocated in advance.
///
/// A task finds its state among a few neighbours, where its pid leads to. If all of them are
/// used, the state of another task, which may not exist any more, is given up. So there is
/// always state, and looking for it takes a bounded time, but a task may come back and find
/// nothing; use what is learned as a hint. While a state changes hands, the task that loses it
/// may still be writing to it on another CPU.
pub struct TaskTable<V: TaskState> {
    slots: KVVec<Slot<V>>,
}

impl<V: TaskState> TaskTable<V> {
    /// The most tasks that a table may be made for.
    pub const MAX_TASKS: usize = 1 << 20;

    /// How many neighbours are looked at.
    const WAYS: usize = 8;

    /// A table for `tasks` tasks, rounded up to a power of two and to 8.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `tasks` is zero or more than [`MAX_TASKS`](Self::MAX_TASKS); `ENOMEM`.
    pub fn new(_cx: &Process<'_>, tasks: usize) -> Result<Self> {
        if tasks == 0 || tasks > Self::MAX_TASKS {
            return Err(EINVAL);
        }

        let len = tasks.max(Self::WAYS).next_power_of_two();
        let mut slots = KVVec::with_capacity(len, GFP_KERNEL)?;

        for _ in 0..len {
            slots.push(
                Slot {
                    key: Atomic::new(0),
                    state: V::default(),
                },
                GFP_KERNEL,
            )?;
        }
        Ok(Self { slots })
    }

    /// The state of `task`, new if there is none. [`None`] is not returned by a table that was
    /// made, but says so without a panic.
    #[inline]
    pub fn get(&self, _cx: &RqLocked<'_>, task: Task<'_>) -> Option<&V> {
        self.find(Self::key(task.pid() as u32, task.start_time().as_nanos()))
    }

    /// Names a task: its pid and some 73 minutes' worth of microseconds of when it began. A pid
    /// that is used again hardly has the same.
    fn key(pid: u32, start_time: u64) -> u64 {
        u64::from(pid) << 32 | (start_time >> 10) & 0xffff_ffff
    }

    pub(crate) fn find(&self, key: u64) -> Option<&V> {
        // The golden ratio spreads pids that follow one another.
        let hash = (key >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let first = hash as usize & self.slots.len().wrapping_sub(1) & !(Self::WAYS - 1);
        let ways = self.slots.get(first..)?.get(..Self::WAYS)?;

        if let Some(slot) = ways.iter().find(|s| s.key.load(Relaxed) == key) {
            return Some(&slot.state);
        }

        // Of no other task, or of one that is chosen by where this one differs from those that
        // lead to the same neighbours.
        let slot = ways
            .iter()
            .find(|s| s.key.load(Relaxed) == 0)
            .or_else(|| ways.get((hash >> 29) as usize ^ key as usize & (Self::WAYS - 1)))?;

        slot.key.store(key, Relaxed);
        slot.state.reset();
        Some(&slot.state)
    }
}
