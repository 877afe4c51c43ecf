// SPDX-License-Identifier: GPL-2.0

//! The service: each client sends a request to its worker, which wakes up,
//! computes and replies.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use nix::sys::eventfd::EventFd;
use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;

use crate::cgroup;
use crate::cli::ServeArgs;
use crate::cpu::{self, Work};
use crate::measure::Measures;

/// Requests sent earlier than this are not measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// What a client and its worker share.
struct Connection {
    request: EventFd,
    reply: EventFd,
    /// When the worker ran after the last request, since `begin`.
    woken_ns: AtomicU64,
    stop: AtomicBool,
    begin: Instant,
}

/// How long requests took, in nanoseconds, to three digits.
struct Samples {
    /// From sending to the worker running
    wakeup: Histogram<u64>,
    /// From the worker running to the reply
    run: Histogram<u64>,
    /// From sending to the reply
    request: Histogram<u64>,
}

impl Samples {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new(3).context("histogram");

        Ok(Self {
            wakeup: histogram()?,
            run: histogram()?,
            request: histogram()?,
        })
    }
}

impl Connection {
    fn new(begin: Instant) -> Result<Self> {
        Ok(Self {
            request: EventFd::new().context("eventfd")?,
            reply: EventFd::new().context("eventfd")?,
            woken_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            begin,
        })
    }

    fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    /// Answers requests until told to stop.
    fn worker(&self, cpu: usize, work: Work) -> Result<()> {
        let result = cpu::pin(cpu);

        loop {
            self.request.read().context("request")?;
            self.woken_ns.store(self.now_ns(), Ordering::Relaxed);
            if self.stop.load(Ordering::Relaxed) {
                return result;
            }
            work.run();
            self.reply.write(1).context("reply")?;
        }
    }

    /// Sends requests until `end`, each some time after the reply to the last one.
    fn client(&self, cpu: usize, gap: Duration, end: Duration) -> Result<Samples> {
        let result = cpu::pin(cpu).and_then(|()| self.requests(gap, end));

        self.stop.store(true, Ordering::Relaxed);
        self.request.write(1).context("request")?;
        result
    }

    fn requests(&self, gap: Duration, end: Duration) -> Result<Samples> {
        let mut samples = Samples::new()?;

        while self.begin.elapsed() < end {
            thread::sleep(gap);
            let sent_ns = self.now_ns();
            self.request.write(1).context("request")?;
            self.reply.read().context("reply")?;
            let replied_ns = self.now_ns();

            if u128::from(sent_ns) >= WARM_UP.as_nanos() {
                let woken_ns = self.woken_ns.load(Ordering::Relaxed);
                samples.wakeup += woken_ns.saturating_sub(sent_ns);
                samples.run += replied_ns.saturating_sub(woken_ns);
                samples.request += replied_ns - sent_ns;
            }
        }
        Ok(samples)
    }
}

/// Runs the service and returns what its clients saw.
fn run(args: &ServeArgs) -> Result<Samples> {
    cpu::pin(args.service.client_cpu)?;
    let work = match args.service.work_rounds {
        Some(rounds) => Work { rounds },
        None => Work::taking(Duration::from_micros(args.service.work_us)),
    };
    let begin = Instant::now();
    let end = WARM_UP + Duration::from_secs(args.place.seconds);
    let gap = Duration::from_micros(args.service.gap_us);
    let connections = (0..args.service.workers)
        .map(|_| Connection::new(begin))
        .collect::<Result<Vec<_>>>()?;
    let mut all = Samples::new()?;

    thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter()
            .map(|c| {
                (
                    scope.spawn(|| c.worker(args.place.cpu, work)),
                    scope.spawn(|| c.client(args.service.client_cpu, gap, end)),
                )
            })
            .collect();

        for (worker, client) in threads {
            let samples = client.join().expect("a client panicked")?;
            worker.join().expect("a worker panicked")?;
            all.wakeup += samples.wakeup;
            all.run += samples.run;
            all.request += samples.request;
        }
        Ok(all)
    })
}

/// Runs the service and prints what was measured.
pub fn serve(args: &ServeArgs) -> Result<()> {
    if let Some(path) = &args.cgroup {
        cgroup::enter(path)?;
    }

    let samples = run(args)?;
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
    let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let mut measures = Measures::default();

    measures.set("requests", samples.wakeup.len());
    measures.set("seconds", args.place.seconds);
    measures.set("cpu_us", cpu_us.unsigned_abs());
    measures.set(
        "involuntary",
        usage.involuntary_context_switches().unsigned_abs(),
    );
    for (name, samples) in [
        ("wakeup", &samples.wakeup),
        ("run", &samples.run),
        ("request", &samples.request),
    ] {
        for percent in [50, 90, 99] {
            let value = samples.value_at_quantile(f64::from(percent) / 100.0);
            measures.set(&format!("{name}_p{percent}_ns"), value);
        }
        measures.set(&format!("{name}_max_ns"), samples.max());
    }
    print!("{measures}");

    Ok(())
}
