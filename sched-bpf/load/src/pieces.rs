// SPDX-License-Identifier: GPL-2.0

//! Computing that is counted in pieces, so that it is known how long each was held up.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::apart::When;
use crate::cpu::{self, Work};
use crate::seen::Invocation;

/// CPU time of a piece, in nanoseconds.
const PIECE_NS: u64 = 1_000_000;

/// Computes until `until` has passed since `begin`; returns what became of each piece.
pub fn compute_until(begin: Instant, until: Duration, rounds_per_s: u64) -> Vec<Invocation> {
    let mut pieces = Vec::new();

    while begin.elapsed() < until {
        let due = Instant::now();
        Work::of(PIECE_NS, rounds_per_s).run();
        let duration_ns = due.elapsed().as_nanos() as u64;
        pieces.push(Invocation::lasted(PIECE_NS, duration_ns));
    }
    pieces
}

/// Runs threads that only compute, on a CPU.
pub fn compute(threads: u32, cpu: usize, when: When) -> Result<Vec<Invocation>> {
    // Threads inherit this.
    cpu::pin(cpu)?;
    Ok(thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    when.await_begin();
                    compute_until(when.begin, when.time, when.rounds_per_s)
                })
            })
            .collect();

        threads.into_iter().flat_map(|thread| thread.join().expect("a thread panicked")).collect()
    }))
}
