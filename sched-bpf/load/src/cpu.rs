// SPDX-License-Identifier: GPL-2.0

//! CPUs, and work for them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{sched_setaffinity, CpuSet};
use nix::unistd::Pid;

/// Rounds that are timed to learn the speed of a CPU.
const ROUNDS: u64 = 1_000_000;

/// Binds the calling thread to a CPU.
pub fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();

    set.set(cpu).with_context(|| format!("CPU {cpu}: beyond {}", CpuSet::count() - 1))?;
    sched_setaffinity(Pid::from_raw(0), &set)
        .with_context(|| format!("CPU {cpu}: no such CPU online, or not allowed"))
}

/// Computes without a system call: reading the CPU time of a thread would make the
/// scheduler account it, and so ask the tick hook.
fn spin(rounds: u64) {
    for i in 0..rounds {
        black_box(i);
    }
}

/// A fixed amount of work.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub rounds: u64,
}

impl Work {
    /// What takes `time` on the calling thread's CPU if nothing else runs there.
    pub fn taking(time: Duration) -> Self {
        let fastest = (0..10)
            .map(|_| {
                let begin = Instant::now();
                spin(ROUNDS);
                begin.elapsed()
            })
            .min()
            .unwrap_or_default();

        Self { rounds: rounds(time, fastest) }
    }

    /// What takes `ns` nanoseconds where `rounds_per_s` take a second.
    pub fn of(ns: u64, rounds_per_s: u64) -> Self {
        let rounds = u128::from(ns) * u128::from(rounds_per_s) / 1_000_000_000;

        Self { rounds: rounds as u64 }
    }

    /// Does it.
    pub fn run(self) {
        spin(self.rounds);
    }
}

/// How many rounds take a second: those that are `known`, or what is measured.
pub fn rounds_per_s(known: Option<u64>) -> u64 {
    known.unwrap_or_else(|| Work::taking(Duration::from_secs(1)).rounds)
}

/// The rounds that fit into `time` if [`ROUNDS`] take `measured`.
fn rounds(time: Duration, measured: Duration) -> u64 {
    let rounds = time.as_nanos() * u128::from(ROUNDS) / measured.as_nanos().max(1);

    u64::try_from(rounds).unwrap_or(u64::MAX).max(1)
}
