// SPDX-License-Identifier: GPL-2.0

//! Measurements of a host.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use nix::sys::signal::{killpg, SigSet, Signal};
use nix::unistd::Pid;
use sched_bpf_core::waits::{Counted, Waits};
use sched_bpf_statistics::{figure, Figure, Run};

use crate::metric::{Metric, METRICS};

/// Time limit of the user's command.
const LIMIT: Duration = Duration::from_secs(5);

impl Metric {
    /// Return its value in windows taken together; none if it was not measured there.
    pub fn of<'a>(self, windows: impl Iterator<Item = &'a Measured> + Clone) -> Option<f64> {
        let wakeups = |what| {
            let us = figure(what, windows.clone().map(|w| &w.wakeups)).ok()? / 1e3;
            Some(us.max(1e-3))
        };
        let rate = |of: fn(&Measured) -> Option<Rate>| {
            let mut all = Rate::default();
            for window in windows.clone() {
                let rate = of(window)?;
                all.count += rate.count;
                all.seconds += rate.seconds;
            }
            (all.seconds > 0.0).then_some(all.count / all.seconds)
        };

        match self {
            Self::WakeupMeanUs => wakeups(Figure::Mean),
            Self::WakeupP99Us => wakeups(Figure::Quantile(0.99)),
            Self::WaitMsPerS => rate(|w| Some(w.wait_ms)),
            Self::ThroughputPerS => rate(|w| w.throughput),
        }
    }
}

/// A count in so many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rate {
    count: f64,
    seconds: f64,
}

/// The measurements of a window.
#[derive(Clone)]
pub struct Measured {
    wakeups: Run,
    wait_ms: Rate,
    throughput: Option<Rate>,
}

/// Readings at one time.
pub struct Reading {
    at: Instant,
    waits: Counted,
    /// The counter, and when it was read, which takes some time
    throughput: Option<(Instant, f64)>,
}

impl Reading {
    /// Return the measurements since `before`. Fails if the user's counter fell.
    pub fn since(&self, before: &Self) -> Result<Measured> {
        let seconds = (self.at - before.at).as_secs_f64();
        let waits = self.waits.since(&before.waits);
        let throughput = match (self.throughput, before.throughput) {
            (Some((at, now)), Some((begin, then))) => {
                ensure!(now >= then, "the counter fell from {then} to {now}");
                Some(Rate { count: now - then, seconds: (at - begin).as_secs_f64() })
            }
            _ => None,
        };

        Ok(Measured {
            wakeups: waits.run()?,
            wait_ms: Rate { count: waits.wait_ns as f64 / 1e6, seconds },
            throughput,
        })
    }
}

/// Run a command of the shell with the signals that it would have without a trial, and end it
/// and its children if it takes too long. Returns the number that it prints.
fn counter(command: &str) -> Result<f64> {
    let mut shell = Command::new("sh");

    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    // SAFETY: sigprocmask() may be called between fork() and exec().
    unsafe { shell.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?)) };
    let mut child = shell.spawn().context("sh")?;
    let mut stdout = child.stdout.take().context("a pipe was asked for")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        // The receiver may have given up.
        let _ = sender.send(read);
    });
    let said = receiver.recv_timeout(LIMIT);
    if said.is_err() {
        let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
    }
    let status = child.wait().context("sh")?;
    let text = said.ok().with_context(|| format!("it did not end within {LIMIT:?}"))??;
    let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite());

    ensure!(status.success(), "the command ended with {status}");
    number.with_context(|| format!("'{}' is not a number", text.trim()))
}

/// The sources of readings.
pub struct Sources {
    waits: Waits,
    /// A command of the shell that prints a counter
    command: Option<String>,
}

impl Sources {
    /// Open those of a cgroup, by its id, or of all tasks (0).
    pub fn open(cgroup: u64, command: Option<String>) -> Result<Self> {
        Ok(Self { waits: Waits::attach(cgroup)?, command })
    }

    /// Return the metrics that it has.
    pub fn metrics(&self) -> Vec<Metric> {
        let has = |metric: &Metric| *metric != Metric::ThroughputPerS || self.command.is_some();

        METRICS.into_iter().filter(has).collect()
    }

    /// Read all.
    pub fn read(&self) -> Result<Reading> {
        let read = |command: &String| {
            let begin = Instant::now();
            let value = counter(command).with_context(|| format!("--throughput '{command}'"))?;
            anyhow::Ok((begin + begin.elapsed() / 2, value))
        };
        let throughput = self.command.as_ref().map(read).transpose()?;

        Ok(Reading { at: Instant::now(), waits: self.waits.read()?, throughput })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A window of a second with these waits, and this throughput.
    pub fn measured(waits: &[(u64, u64)], throughput: f64) -> Measured {
        let of = |count| Rate { count, seconds: 1.0 };
        let waits = Counted::of_waits(waits);

        Measured {
            wakeups: waits.run().unwrap(),
            wait_ms: of(waits.wait_ns as f64 / 1e6),
            throughput: Some(of(throughput)),
        }
    }

    #[test]
    fn metrics_of_windows() {
        let windows = [measured(&[(1000, 99)], 10.0), measured(&[(1_000_000, 1)], 30.0)];
        let of = |metric: Metric| metric.of(windows.iter());

        assert_eq!(of(Metric::WakeupMeanUs), Some(10.99));
        assert!((of(Metric::WakeupP99Us).unwrap() - 1.0).abs() < 0.02);
        assert_eq!(of(Metric::WaitMsPerS), Some(1.099 / 2.0));
        assert_eq!(of(Metric::ThroughputPerS), Some(20.0));
        assert_eq!(Metric::WakeupMeanUs.of([measured(&[], 1.0)].iter()), None);
    }

    /// A command that hangs ends, with its children, though signals are blocked here.
    #[test]
    fn counters_of_commands() {
        let error = |command: &str| format!("{:#}", counter(command).unwrap_err());
        let blocked: SigSet = [Signal::SIGTERM].into_iter().collect();

        assert_eq!(counter("echo 1.5e3").unwrap(), 1500.0);
        assert!(error("echo inf").contains("'inf' is not a number"));
        assert!(error("echo 1; exit 3").contains("exit status: 3"));
        blocked.thread_block().unwrap();
        assert_eq!(counter("grep -c 'SigBlk:.0*$' /proc/self/status").unwrap(), 1.0);
        assert!(error("sleep 100; echo 1").contains("within 5s"));
        blocked.thread_unblock().unwrap();
    }
}
