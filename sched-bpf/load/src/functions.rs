// SPDX-License-Identifier: GPL-2.0

//! Functions that are invoked at times of their own, whether those before have ended or not,
//! and whose lengths spread widely: each runs in a thread that waits for one. Beside them a
//! bystander wakes up now and then, of whom nothing is announced.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use nix::sys::eventfd::EventFd;
use nix::unistd::gettid;

use crate::announce::Announcer;
use crate::arrivals::{self, Arrival};
use crate::cli::{AnnounceBy, FunctionsArgs};
use crate::cpu;
use crate::seen::{all_of, Invocation, Seen};
use crate::setattr;

/// How long the bystander sleeps.
const BYSTANDER_SLEEPS: Duration = Duration::from_millis(10);

/// CPU time that it takes then, in nanoseconds.
const BYSTANDER_WORKS_NS: u64 = 100_000;

/// Who tells the scheduler how long an invocation will be.
enum Announce {
    Nobody,
    Map(Announcer),
    Setattr,
}

impl Announce {
    fn new(by: Option<AnnounceBy>) -> Result<Self> {
        Ok(match by {
            None => Self::Nobody,
            Some(AnnounceBy::Map) => Self::Map(Announcer::open()?),
            Some(AnnounceBy::Setattr) => Self::Setattr,
        })
    }

    fn tell(&self, tid: u32, ns: u64) -> Result<()> {
        match self {
            Self::Nobody => Ok(()),
            Self::Map(announcer) => announcer.announce(tid, ns),
            Self::Setattr => setattr::slice(tid, ns),
        }
    }
}

/// A thread that runs functions.
struct Worker {
    tid: AtomicU32,
    request: EventFd,
    /// Is it waiting for a function?
    free: AtomicBool,
    due_ns: AtomicU64,
    /// 0: it is to end
    length_ns: AtomicU64,
}

impl Worker {
    fn new() -> Result<Self> {
        Ok(Self {
            tid: AtomicU32::new(0),
            request: EventFd::new().context("eventfd")?,
            free: AtomicBool::new(true),
            due_ns: AtomicU64::new(0),
            length_ns: AtomicU64::new(0),
        })
    }

    fn invoke(&self, due_ns: u64, length_ns: u64) -> Result<()> {
        self.due_ns.store(due_ns, Ordering::Relaxed);
        self.length_ns.store(length_ns, Ordering::Relaxed);
        self.free.store(false, Ordering::Release);
        self.request.write(1).context("eventfd")?;
        Ok(())
    }

    /// Runs what it is given until told to end; returns what became of that.
    fn run(
        &self,
        args: &FunctionsArgs,
        begin: &Begin,
        rounds_per_s: u64,
    ) -> Result<Vec<Invocation>> {
        let tid = gettid().as_raw() as u32;
        let ready =
            cpu::pin(args.compared.cpu).and_then(|()| setattr::own_slice(args.compared.slice_us));
        let mut done = Vec::new();

        self.tid.store(tid, Ordering::Relaxed);
        begin.ready.wait();
        loop {
            self.request.read().context("eventfd")?;
            let length_ns = self.length_ns.load(Ordering::Relaxed);
            let due_ns = self.due_ns.load(Ordering::Relaxed);
            if length_ns == 0 {
                return ready.map(|()| done);
            }
            let now_ns = || begin.now_ns();
            done.push(Invocation::run(due_ns, length_ns, rounds_per_s, now_ns));
            self.free.store(true, Ordering::Release);
        }
    }
}

/// From when times count, once all threads are there.
struct Begin {
    ready: Barrier,
    at: Instant,
}

impl Begin {
    fn now_ns(&self) -> u64 {
        self.at.elapsed().as_nanos() as u64
    }
}

/// Hands each invocation to a thread when it is due: to the one that had none for longest,
/// as a queue of threads does.
fn dispatch(
    workers: &[Worker],
    arrivals: &[Arrival],
    begin: &Begin,
    announce: &Announce,
) -> Result<()> {
    let mut next = 0;
    let start_ns = begin.now_ns();

    for arrival in arrivals {
        let due_ns = start_ns + arrival.due_ns;
        thread::sleep(Duration::from_nanos(due_ns.saturating_sub(begin.now_ns())));
        let Some(free) = (0..workers.len())
            .map(|i| (next + i) % workers.len())
            .find(|i| workers[*i].free.load(Ordering::Acquire))
        else {
            bail!("--threads {}: all are busy; more are needed for this load", workers.len());
        };
        let worker = &workers[free];
        announce.tell(worker.tid.load(Ordering::Relaxed), arrival.announced_ns)?;
        worker.invoke(due_ns, arrival.length_ns)?;
        next = free + 1;
    }
    Ok(())
}

/// Sleeps and works by turns until told to stop; returns what became of each turn.
fn stand_by(
    cpu: usize,
    begin: &Begin,
    rounds_per_s: u64,
    stop: &AtomicBool,
) -> Result<Vec<Invocation>> {
    let mut done = Vec::new();

    cpu::pin(cpu)?;
    while !stop.load(Ordering::Relaxed) {
        let due_ns = begin.now_ns() + BYSTANDER_SLEEPS.as_nanos() as u64;
        thread::sleep(BYSTANDER_SLEEPS);
        let now_ns = || begin.now_ns();
        done.push(Invocation::run(due_ns, BYSTANDER_WORKS_NS, rounds_per_s, now_ns));
    }
    Ok(done)
}

/// Runs all invocations to their end.
fn run(args: &FunctionsArgs) -> Result<Seen> {
    cpu::pin(0)?;
    let rounds_per_s = cpu::rounds_per_s(args.compared.rounds_per_s);
    let time = Duration::from_secs(args.compared.seconds);
    let arrivals = arrivals::arrivals(
        args.compared.seed,
        time,
        f64::from(args.load) / 100.0,
        f64::from(args.error) / 100.0,
    );
    let announce = Announce::new(args.announce)?;
    let workers = (0..args.threads).map(|_| Worker::new()).collect::<Result<Vec<_>>>()?;
    let begin = Begin { ready: Barrier::new(workers.len() + 1), at: Instant::now() };
    let stop = AtomicBool::new(false);

    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter()
            .map(|worker| scope.spawn(|| worker.run(args, &begin, rounds_per_s)))
            .collect();
        let bystander = scope.spawn(|| stand_by(args.compared.cpu, &begin, rounds_per_s, &stop));

        begin.ready.wait();
        let dispatched = dispatch(&workers, &arrivals, &begin, &announce);
        stop.store(true, Ordering::Relaxed);
        for worker in &workers {
            while !worker.free.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
            worker.invoke(0, 0)?;
        }
        dispatched?;
        Ok(Seen {
            bystander: bystander.join().expect("a thread panicked")?,
            functions: all_of(threads)?,
        })
    })
}

/// Runs the functions and prints a line for each invocation, and for each turn of the
/// bystander: its length, the time until it ran, and until it ended, in nanoseconds.
pub fn functions(args: &FunctionsArgs) -> Result<()> {
    print!("{}", run(args)?.print());
    Ok(())
}
