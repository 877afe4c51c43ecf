// SPDX-License-Identifier: GPL-2.0

//! Requests that go through several threads, one after the other, each of which wakes up the
//! next.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use nix::unistd;

use crate::apart::When;
use crate::arrivals::exponential;
use crate::cli::ComparedArgs;
use crate::cpu::{self, Work};
use crate::seen::{all_of, Invocation};
use crate::setattr;

/// The shape of requests.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Threads that each goes through
    pub threads: u32,
    /// CPU time that it takes in each of them, on average, exponentially distributed, in
    /// microseconds
    pub work_us: u64,
    /// Time from a request to the next, in nanoseconds
    pub gap_ns: u64,
}

impl Shape {
    fn requests(&self, seed: u64, time: Duration) -> Vec<Request> {
        Request::all(seed, time, self.threads, self.work_us, |_| self.gap_ns)
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// When it is due, since the begin, in nanoseconds
    pub due_ns: u64,
    /// CPU time of each piece of its work, in nanoseconds
    pub works_ns: Vec<u64>,
}

impl Request {
    /// Those of a run: `gap` draws the time from one to the next, and each has so many pieces of
    /// work, exponential, `work_us` on average.
    pub fn all(
        seed: u64,
        time: Duration,
        pieces: u32,
        work_us: u64,
        gap: impl Fn(&mut Rng) -> u64,
    ) -> Vec<Self> {
        let mut rng = Rng::with_seed(seed);
        let end_ns = time.as_nanos() as u64;
        let mut due_ns = 0;
        let mut all = Vec::new();

        loop {
            due_ns += gap(&mut rng);
            if due_ns >= end_ns {
                return all;
            }
            all.push(Self {
                due_ns,
                works_ns: (0..pieces)
                    .map(|_| exponential(&mut rng, work_us as f64 * 1e3) as u64)
                    .collect(),
            });
        }
    }
}

/// What the threads share.
struct Shared<'a> {
    compared: &'a ComparedArgs,
    requests: Vec<Request>,
    when: When,
    /// The time is over: what is left is not served.
    over: AtomicBool,
}

impl Shared<'_> {
    /// The thread of that number: takes requests, by their numbers, until the one before
    /// closes its end. The last one has nobody to pass them on to, and returns what became of
    /// them.
    fn serve(
        &self,
        thread: usize,
        mut from: File,
        mut to: Option<File>,
    ) -> Result<Vec<Invocation>> {
        let mut number = [0; 4];
        let mut done = Vec::new();

        cpu::pin(self.compared.cpu)?;
        setattr::own_slice(self.compared.slice_us)?;
        while from.read_exact(&mut number).is_ok() {
            if self.over.load(Ordering::Relaxed) {
                continue;
            }
            let request = &self.requests[u32::from_ne_bytes(number) as usize];
            Work::of(request.works_ns[thread], self.when.rounds_per_s).run();
            match &mut to {
                Some(to) => to.write_all(&number).context("pipe")?,
                None => {
                    let duration_ns = self.when.now_ns().saturating_sub(request.due_ns);
                    let length_ns = request.works_ns.iter().sum();
                    done.push(Invocation::lasted(length_ns, duration_ns));
                }
            }
        }
        Ok(done)
    }

    /// Sends each request when it is due, until the time is over.
    fn send(&self, mut to: File) -> Result<()> {
        self.when.await_begin();
        for (number, request) in self.requests.iter().enumerate() {
            self.when.sleep_until(request.due_ns);
            to.write_all(&(number as u32).to_ne_bytes())
                .context("pipe")?;
        }
        self.when.sleep_until(self.when.time.as_nanos() as u64);
        self.over.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn pipe() -> Result<(File, File)> {
    let (from, to) = unistd::pipe().context("pipe")?;

    Ok((from.into(), to.into()))
}

/// Sends requests through the threads; returns what became of those that ended in time.
pub fn run(shape: &Shape, compared: &ComparedArgs, when: When) -> Result<Vec<Invocation>> {
    let shared = Shared {
        compared,
        requests: shape.requests(compared.seed, when.time),
        when,
        over: AtomicBool::new(false),
    };

    // Who sends them is out of the way of what is measured.
    cpu::pin(0)?;
    thread::scope(|scope| {
        let (mut from, first) = pipe()?;
        let mut threads = Vec::new();

        for thread in 0..shape.threads as usize {
            let (next, end) = pipe()?;
            let before = std::mem::replace(&mut from, next);
            let end = (thread + 1 < shape.threads as usize).then_some(end);
            let shared = &shared;
            threads.push(scope.spawn(move || shared.serve(thread, before, end)));
        }
        shared.send(first)?;
        all_of(threads)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        threads: 3,
        work_us: 100,
        gap_ns: 1_000_000,
    };

    #[test]
    fn a_seed_says_all() {
        let time = Duration::from_secs(10);
        let all = SHAPE.requests(7, time);
        let mean = |sum: u64, count: usize| sum as f64 / count as f64;

        assert_eq!(all, SHAPE.requests(7, time));
        assert_ne!(all, SHAPE.requests(8, time));
        assert_eq!(all.len(), 9_999);
        assert_eq!(all[1].due_ns, 2_000_000);
        let works = all.iter().flat_map(|r| &r.works_ns).sum();
        assert!((mean(works, all.len() * 3) / 100e3 - 1.0).abs() < 0.05);
    }
}
