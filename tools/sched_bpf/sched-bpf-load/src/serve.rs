// SPDX-License-Identifier: GPL-2.0

//! The service: each client sends a request to its worker, which wakes up, works and replies.
//! Most take shortly; now and then comes one that computes, as those who are served shortly
//! do at times: they compact, collect garbage, read their configuration.

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
use crate::setattr;

/// Requests sent earlier than this are not measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// What a client and its worker share.
struct Connection {
    request: EventFd,
    reply: EventFd,
    /// The request is one that computes.
    computes: AtomicBool,
    /// When the worker ran after the last request, since `begin`.
    woken_ns: AtomicU64,
    stop: AtomicBool,
    begin: Instant,
}

/// What the threads of all connections are told.
struct Plan {
    /// Where workers run
    cpu: usize,
    client_cpu: usize,
    /// Slice of workers in microseconds, 0 for none
    slice_us: u64,
    /// Work of a request
    work: Work,
    /// And of one that computes
    computing: Work,
    /// From a reply to the next request
    gap: Duration,
    /// And to the next that computes, if there are such
    computing_gap: Option<Duration>,
    end: Duration,
}

/// How long requests took, in nanoseconds, to three digits.
struct Samples {
    /// From sending to the worker running
    wakeup: Histogram<u64>,
    /// From the worker running to the reply
    run: Histogram<u64>,
    /// From sending to the reply
    request: Histogram<u64>,
    /// The same of requests that compute, which are not among the others
    computing: Histogram<u64>,
}

impl Samples {
    fn new() -> Result<Self> {
        let histogram = || Histogram::new(3).context("histogram");

        Ok(Self {
            wakeup: histogram()?,
            run: histogram()?,
            request: histogram()?,
            computing: histogram()?,
        })
    }
}

impl Connection {
    fn new(begin: Instant) -> Result<Self> {
        Ok(Self {
            request: EventFd::new().context("eventfd")?,
            reply: EventFd::new().context("eventfd")?,
            computes: AtomicBool::new(false),
            woken_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            begin,
        })
    }

    fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    /// Answers requests until told to stop.
    fn worker(&self, plan: &Plan) -> Result<()> {
        let result = cpu::pin(plan.cpu).and_then(|()| setattr::own_slice(plan.slice_us));

        loop {
            self.request.read().context("request")?;
            self.woken_ns.store(self.now_ns(), Ordering::Relaxed);
            if self.stop.load(Ordering::Relaxed) {
                return result;
            }
            if self.computes.load(Ordering::Relaxed) {
                plan.computing.run();
            } else {
                plan.work.run();
            }
            self.reply.write(1).context("reply")?;
        }
    }

    /// Sends requests until the end, each some time after the reply to the last one.
    fn client(&self, plan: &Plan) -> Result<Samples> {
        let result = cpu::pin(plan.client_cpu).and_then(|()| self.requests(plan));

        self.stop.store(true, Ordering::Relaxed);
        self.request.write(1).context("request")?;
        result
    }

    /// Sends a request and waits for the reply: when it was sent, and when that came.
    fn request(&self, computes: bool) -> Result<(u64, u64)> {
        self.computes.store(computes, Ordering::Relaxed);
        let sent_ns = self.now_ns();
        self.request.write(1).context("request")?;
        self.reply.read().context("reply")?;
        Ok((sent_ns, self.now_ns()))
    }

    fn requests(&self, plan: &Plan) -> Result<Samples> {
        let mut samples = Samples::new()?;
        let mut computed = self.begin.elapsed();

        while self.begin.elapsed() < plan.end {
            thread::sleep(plan.gap);
            if plan
                .computing_gap
                .is_some_and(|gap| self.begin.elapsed() >= computed + gap)
            {
                let (sent_ns, replied_ns) = self.request(true)?;
                samples.computing += replied_ns - sent_ns;
                computed = self.begin.elapsed();
                continue;
            }

            let (sent_ns, replied_ns) = self.request(false)?;
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
    let service = &args.service;

    cpu::pin(service.client_cpu)?;
    let work = match service.work_rounds {
        Some(rounds) => Work { rounds },
        None => Work::taking(Duration::from_micros(service.work_us)),
    };
    let begin = Instant::now();
    let plan = Plan {
        cpu: args.place.cpu,
        client_cpu: service.client_cpu,
        slice_us: args.slice_us,
        work,
        computing: work.times(service.compute_ms * 1000, service.work_us),
        gap: Duration::from_micros(service.gap_us),
        computing_gap: (service.compute_ms != 0)
            .then(|| Duration::from_millis(service.compute_every_ms)),
        end: WARM_UP + Duration::from_secs(args.place.seconds),
    };
    let connections = (0..service.workers)
        .map(|_| Connection::new(begin))
        .collect::<Result<Vec<_>>>()?;
    let mut all = Samples::new()?;

    thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter()
            .map(|c| {
                (
                    scope.spawn(|| c.worker(&plan)),
                    scope.spawn(|| c.client(&plan)),
                )
            })
            .collect();

        for (worker, client) in threads {
            let samples = client.join().expect("a client panicked")?;
            worker.join().expect("a worker panicked")?;
            all.wakeup += samples.wakeup;
            all.run += samples.run;
            all.request += samples.request;
            all.computing += samples.computing;
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
    measures.set("computed", samples.computing.len());
    measures.set("computing_mean_ns", samples.computing.mean() as u64);
    print!("{measures}");

    Ok(())
}
