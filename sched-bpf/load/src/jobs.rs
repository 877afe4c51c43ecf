// SPDX-License-Identifier: GPL-2.0

//! Jobs of a build: processes that begin, read a little, compute, and end, so many at a time,
//! on one CPU.
//!
//! Shape, fixed before anything was measured: the CPU time of a job is log-normal, with a median
//! of 20 ms and a sigma of 1, as some files take much longer to compile than most; it waits
//! for 0.5 ms, as for a disk, after each 4 ms of that.

use std::env;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::apart::When;
use crate::arrivals::normal;
use crate::child::Child;
use crate::cli::{ComparedArgs, JobArgs};
use crate::cpu::{self, Work};
use crate::seen::{all_of, Invocation};

const MEDIAN_NS: f64 = 20e6;

const SIGMA: f64 = 1.0;

/// CPU time between two waits, in nanoseconds.
const PIECE_NS: u64 = 4_000_000;

const DISK: Duration = Duration::from_micros(500);

/// A job.
pub fn job(args: &JobArgs) {
    let mut left_ns = args.length_ns;

    while left_ns > 0 {
        thread::sleep(DISK);
        let piece_ns = left_ns.min(PIECE_NS);
        Work::of(piece_ns, args.rounds_per_s).run();
        left_ns -= piece_ns;
    }
}

/// Runs jobs one after the other while there is time; returns what became of those that ended
/// in time.
fn slot(seed: u64, when: When) -> Result<Vec<Invocation>> {
    let this = env::current_exe().context("path of this program")?;
    let mut rng = Rng::with_seed(seed);
    let mut done = Vec::new();

    when.await_begin();
    loop {
        let length_ns = (MEDIAN_NS * (SIGMA * normal(&mut rng)).exp()) as u64;
        let due_ns = when.now_ns();
        let mut command = Command::new(&this);
        command.args(["job", "--length-ns", &length_ns.to_string()]);
        command.args(["--rounds-per-s", &when.rounds_per_s.to_string()]);
        Child::spawn("job", &mut command)?.output()?;
        if when.is_over() {
            return Ok(done);
        }
        done.push(Invocation::lasted(length_ns, when.now_ns() - due_ns));
    }
}

/// Runs so many jobs at a time on a CPU.
pub fn build(slots: u32, compared: &ComparedArgs, when: When) -> Result<Vec<Invocation>> {
    // Threads and processes inherit this.
    cpu::pin(compared.cpu)?;
    thread::scope(|scope| {
        let slots: Vec<_> = (0..slots)
            .map(|i| {
                let seed = compared.seed ^ (u64::from(i) << 32);
                scope.spawn(move || slot(seed, when))
            })
            .collect();

        all_of(slots)
    })
}
