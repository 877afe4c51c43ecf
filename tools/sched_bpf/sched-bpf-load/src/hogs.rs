// SPDX-License-Identifier: GPL-2.0

//! Threads that compute in long bursts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;

use crate::cgroup;
use crate::cli::HogsArgs;
use crate::cpu::{self, Work};
use crate::measure::Measures;

/// Runs the hogs and prints what they got.
pub fn hogs(args: &HogsArgs) -> Result<()> {
    if let Some(path) = &args.cgroup {
        cgroup::enter(path)?;
    }
    // Threads inherit this.
    cpu::pin(args.place.cpu)?;

    let burst = Work::taking(Duration::from_micros(args.burst.burst_us));
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..args.count {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    burst.run();
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
        "involuntary",
        usage.involuntary_context_switches().unsigned_abs(),
    );
    print!("{measures}");

    Ok(())
}
