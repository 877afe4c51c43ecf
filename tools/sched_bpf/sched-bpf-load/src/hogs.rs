// SPDX-License-Identifier: GPL-2.0

//! Threads that compute in long bursts, and look at the clock how long they were kept from it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;

use crate::cgroup;
use crate::cli::HogsArgs;
use crate::cpu::{self, Work};
use crate::measure::Measures;

/// A burst is made of pieces of this work, in microseconds.
const PIECE_US: u64 = 100;

/// Does a burst; returns the longest time that a piece took.
fn burst(pieces: u64, piece: Work) -> Duration {
    (0..pieces)
        .map(|_| {
            let begin = Instant::now();
            piece.run();
            begin.elapsed()
        })
        .max()
        .unwrap_or_default()
}

/// Runs the hogs and prints what they got.
pub fn hogs(args: &HogsArgs) -> Result<()> {
    if let Some(path) = &args.cgroup {
        cgroup::enter(path)?;
    }
    // Threads inherit this.
    cpu::pin(args.place.cpu)?;

    let pieces = args.burst.burst_us.div_ceil(PIECE_US);
    let piece_us = args.burst.burst_us / pieces;
    let piece = Work::taking(Duration::from_micros(piece_us));
    let stop = AtomicBool::new(false);
    let longest_us = AtomicU64::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..args.count {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let longest = burst(pieces, piece);
                    longest_us.fetch_max(longest.as_micros() as u64, Ordering::Relaxed);
                    if args.burst.idle_us != 0 {
                        thread::sleep(Duration::from_micros(args.burst.idle_us));
                    }
                }
            });
        }
        thread::sleep(Duration::from_secs(args.place.seconds));
        stop.store(true, Ordering::Relaxed);
    });

    let wall = begin.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
    let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();

    let mut measures = Measures::default();
    measures.set("wall_us", wall.as_micros() as u64);
    measures.set("cpu_us", cpu_us.unsigned_abs());
    measures.set(
        "wait_max_us",
        longest_us.into_inner().saturating_sub(piece_us),
    );
    measures.set(
        "involuntary",
        usage.involuntary_context_switches().unsigned_abs(),
    );
    print!("{measures}");

    Ok(())
}
