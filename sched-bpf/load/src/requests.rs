// SPDX-License-Identifier: GPL-2.0

//! A service at full load: requests come whether it keeps up or not, and each needs several
//! threads by turns, beside threads of another that only compute, all on one CPU. Who waits
//! at each turn cannot use its share of the CPU, which goes to those who compute.
//!
//! Shape, fixed before anything was measured: 4 workers, each with one request at a time and
//! with a helper of its own, beside as many threads that compute. A worker asks its helper 3
//! times and waits for the answer, so that a request takes 7 pieces of work, and a wakeup
//! before each; a piece is exponential, 25 us on average. Requests arrive as a Poisson process;
//! those that take half of the CPU, the share of the service, are a load of 100 %.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::apart::{self, When};
use crate::cli::RequestsArgs;
use crate::cpu::{self, Work};
use crate::pieces;
use crate::seen::{all_of, Invocation};
use crate::setattr;

/// The part of a CPU that the service may have.
const SHARE: f64 = 0.5;

/// A number of an exponential distribution.
fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    /// When it is due, since the begin, in nanoseconds
    due_ns: u64,
    /// CPU time of each piece of its work, in nanoseconds
    works_ns: Vec<u64>,
}

impl Request {
    /// Those of a run: `gap` draws the time from one to the next, and each has so many pieces of
    /// work, exponential, `work_us` on average.
    fn all(
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

/// A worker and its helper.
struct Pair {
    asked: EventFd,
    answered: EventFd,
    /// CPU time of the helper, in nanoseconds; 0: it is to end
    work_ns: AtomicU64,
}

impl Pair {
    fn new() -> Result<Self> {
        Ok(Self {
            asked: EventFd::new().context("eventfd")?,
            answered: EventFd::new().context("eventfd")?,
            work_ns: AtomicU64::new(0),
        })
    }

    fn tell(&self, work_ns: u64) -> Result<()> {
        self.work_ns.store(work_ns, Ordering::Relaxed);
        self.asked.write(1).context("eventfd")?;
        Ok(())
    }

    /// Lets the helper work, and waits for that.
    fn ask(&self, work_ns: u64) -> Result<()> {
        self.tell(work_ns.max(1))?;
        self.answered.read().context("eventfd")?;
        Ok(())
    }

    /// Tells the helper to end.
    fn end(&self) -> Result<()> {
        self.tell(0)
    }

    /// Works for who asks, until told to end.
    fn help(&self, rounds_per_s: u64) -> Result<()> {
        loop {
            self.asked.read().context("eventfd")?;
            match self.work_ns.load(Ordering::Relaxed) {
                0 => return Ok(()),
                ns => Work::of(ns, rounds_per_s).run(),
            }
            self.answered.write(1).context("eventfd")?;
        }
    }
}

/// What the threads share.
struct Shared<'a> {
    args: &'a RequestsArgs,
    requests: Vec<Request>,
    when: When,
    /// As many as have arrived and were not taken.
    arrived: EventFd,
    /// The next that is taken, by its number.
    next: AtomicUsize,
    /// The time is over: what is left is not served.
    over: AtomicBool,
}

impl Shared<'_> {
    /// Puts the calling thread where the service is.
    fn place(&self) -> Result<()> {
        cpu::pin(self.args.cpu)?;
        setattr::own_slice(self.args.slice_us)
    }

    /// A request: the worker and its helper by turns.
    fn serve(&self, pair: &Pair, request: &Request) -> Result<()> {
        for (piece, ns) in request.works_ns.iter().enumerate() {
            if piece % 2 == 0 {
                Work::of(*ns, self.when.rounds_per_s).run();
            } else {
                pair.ask(*ns)?;
            }
        }
        Ok(())
    }

    /// Takes requests while there is time; returns what became of those that ended in it.
    fn work(&self, pair: &Pair) -> Result<Vec<Invocation>> {
        let mut done = Vec::new();

        self.place()?;
        loop {
            self.arrived.read().context("eventfd")?;
            if self.over.load(Ordering::Relaxed) {
                pair.end()?;
                return Ok(done);
            }
            let request = &self.requests[self.next.fetch_add(1, Ordering::Relaxed)];
            let wait_ns = self.when.now_ns().saturating_sub(request.due_ns);
            self.serve(pair, request)?;
            if !self.when.is_over() {
                done.push(Invocation {
                    length_ns: request.works_ns.iter().sum(),
                    wait_ns,
                    duration_ns: self.when.now_ns().saturating_sub(request.due_ns),
                });
            }
        }
    }

    /// Sends each request when it is due, until the time is over.
    fn send(&self) -> Result<()> {
        self.when.await_begin();
        for request in &self.requests {
            self.when.sleep_until(request.due_ns);
            self.arrived.write(1).context("eventfd")?;
        }
        self.when.sleep_until(self.when.time.as_nanos() as u64);
        self.over.store(true, Ordering::Relaxed);
        self.arrived.write(u64::from(self.args.workers)).context("eventfd")?;
        Ok(())
    }
}

/// The requests of a run.
fn all(args: &RequestsArgs, time: Duration) -> Vec<Request> {
    let pieces = 2 * args.asks + 1;
    let work_ns = args.work_us as f64 * 1e3 * f64::from(pieces);
    let gap_ns = work_ns / (SHARE * f64::from(args.load) / 100.0);
    let gap = |rng: &mut Rng| exponential(rng, gap_ns) as u64;

    Request::all(args.seed, time, pieces, args.work_us, gap)
}

/// The service.
fn serve_all(args: &RequestsArgs, when: When) -> Result<Vec<Invocation>> {
    let pairs = (0..args.workers).map(|_| Pair::new()).collect::<Result<Vec<_>>>()?;
    let shared = Shared {
        args,
        requests: all(args, when.time),
        when,
        arrived: EventFd::from_flags(EfdFlags::EFD_SEMAPHORE).context("eventfd")?,
        next: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };

    // Who sends them is out of the way of what is measured.
    cpu::pin(0)?;
    thread::scope(|scope| {
        let shared = &shared;
        let mut workers = Vec::new();
        let mut helpers = Vec::new();

        for pair in &pairs {
            workers.push(scope.spawn(move || shared.work(pair)));
            helpers.push(scope.spawn(move || {
                shared.place()?;
                pair.help(when.rounds_per_s)
            }));
        }
        shared.send()?;
        let done = all_of(workers)?;
        for helper in helpers {
            helper.join().expect("a thread panicked")?;
        }
        Ok(done)
    })
}

/// Runs the service and prints a line for each request ("function"): its CPU time, how long
/// it waited for a worker and how long it took; and for each piece of what computes beside it.
pub fn requests(args: &RequestsArgs) -> Result<()> {
    apart::run(
        args,
        |when| serve_all(args, when),
        |when| pieces::compute(args.workers, args.cpu, when),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RequestsArgs,
    }

    #[test]
    fn as_much_work_as_asked_for() {
        let args = Line::parse_from(["x", "--load", "120"]).args;
        let all = all(&args, Duration::from_secs(20));
        let work: u64 = all.iter().flat_map(|r| &r.works_ns).sum();

        assert!(all.iter().all(|r| r.works_ns.len() == 7));
        assert!((work as f64 / (20e9 * 0.6) - 1.0).abs() < 0.05, "{work}");
    }

    #[test]
    fn helper_works_and_ends() {
        let pair = Pair::new().unwrap();

        thread::scope(|scope| {
            let helper = scope.spawn(|| pair.help(1));
            pair.ask(5).unwrap();
            pair.ask(0).unwrap();
            pair.end().unwrap();
            helper.join().unwrap().unwrap();
        });
    }
}
