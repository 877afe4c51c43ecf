// SPDX-License-Identifier: GPL-2.0

//! Computing that is counted in pieces, so that it is known how long each was held up.

use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::apart::When;
use crate::cpu::{self, Work};
use crate::seen::Invocation;

/// CPU time of a piece, in nanoseconds.
const PIECE_NS: u64 = 1_000_000;

/// Computes from the begin until the time is over; returns what became of each piece.
fn compute_one(when: When) -> Vec<Invocation> {
    let mut pieces = Vec::new();

    when.await_begin();
    while !when.is_over() {
        let due = Instant::now();
        Work::of(PIECE_NS, when.rounds_per_s).run();
        pieces.push(Invocation::lasted(PIECE_NS, due.elapsed().as_nanos() as u64));
    }
    pieces
}

/// Runs threads that only compute, on a CPU.
pub fn compute(threads: u32, cpu: usize, when: When) -> Result<Vec<Invocation>> {
    // Threads inherit this.
    cpu::pin(cpu)?;
    Ok(thread::scope(|scope| {
        let threads: Vec<_> =
            (0..threads).map(|_| scope.spawn(move || compute_one(when))).collect();

        threads.into_iter().flat_map(|thread| thread.join().expect("a thread panicked")).collect()
    }))
}
