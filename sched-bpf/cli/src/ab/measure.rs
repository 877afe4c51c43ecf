// SPDX-License-Identifier: GPL-2.0

//! Measurements of a host.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use nix::sys::signal::{killpg, SigSet, Signal};
use nix::unistd::Pid;
use sched_bpf_core::waits::{Counted, Waits};
use sched_bpf_statistics::{figure, Figure, Run};

use crate::metric::{Metric, METRICS};
use crate::output::warn;

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
            Self::PsiCpuPct => rate(|w| w.psi_pct),
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
    psi_pct: Option<Rate>,
    throughput: Option<Rate>,
}

/// Readings at one time.
pub struct Reading {
    at: Instant,
    waits: Counted,
    psi_us: Option<u64>,
    /// Reading it takes some time: when, and the counter
    throughput: Option<(Instant, f64)>,
}

impl Reading {
    /// Return the measurements since `before`. Fails if the user's counter fell.
    pub fn since(&self, before: &Self) -> Result<Measured> {
        let seconds = (self.at - before.at).as_secs_f64();
        let waits = self.waits.since(&before.waits);
        let throughput = match (self.throughput, before.throughput) {
            (Some((at, now)), Some((begin, then))) => {
                ensure!(
                    now >= then,
                    "the counter of throughput fell from {then} to {now}; one that only grows is \
                     expected"
                );
                Some(Rate {
                    count: now - then,
                    seconds: (at - begin).as_secs_f64(),
                })
            }
            _ => None,
        };

        Ok(Measured {
            wakeups: waits.run()?,
            wait_ms: Rate {
                count: waits.wait_ns as f64 / 1e6,
                seconds,
            },
            psi_pct: self.psi_us.zip(before.psi_us).map(|(now, then)| Rate {
                count: now.saturating_sub(then) as f64 / 1e4,
                seconds,
            }),
            throughput,
        })
    }
}

/// The user's counter.
#[derive(Clone, Debug)]
pub enum Counter {
    /// The output of a command of the shell
    Command(String),
    /// A file in the text format of Prometheus, and a metric
    Prometheus(PathBuf, String),
}

impl Counter {
    /// Read it.
    pub fn read(&self) -> Result<f64> {
        match self {
            Self::Command(command) => {
                of_command(command).with_context(|| format!("--throughput '{command}'"))
            }
            Self::Prometheus(file, metric) => fs::read_to_string(file)
                .map_err(anyhow::Error::from)
                .and_then(|text| of_prometheus(&text, metric))
                .with_context(|| format!("--prometheus {}:{metric}", file.display())),
        }
    }
}

/// Run a command of the shell with the signals that it would have without a trial, and end it
/// and its children if it takes too long.
fn of_command(command: &str) -> Result<f64> {
    let mut shell = Command::new("sh");

    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0);
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
    let text = said
        .ok()
        .with_context(|| format!("it did not end within {} s", LIMIT.as_secs()))??;

    ensure!(status.success(), "the command ended with {status}");
    number(text.trim()).context("give a command that prints one number")
}

fn number(text: &str) -> Result<f64> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());

    number.with_context(|| format!("'{text}' is not a number"))
}

/// Return the sum of the samples of a metric: of all its labels, or of one `name{...}` as it
/// is written there.
fn of_prometheus(text: &str, metric: &str) -> Result<f64> {
    let mut sum = None;

    for line in text.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        let Some(rest) = line.strip_prefix(metric) else {
            continue;
        };
        // Labels may have spaces, and braces in quotes: they end at the last one.
        let rest = match rest.chars().next() {
            Some('{') => rest.rsplit_once('}').map_or("", |(_, rest)| rest),
            Some(' ' | '\t') => rest,
            // Another metric, of a longer name.
            _ => continue,
        };
        // A time may follow.
        let value = number(rest.split_whitespace().next().unwrap_or_default())?;
        sum = Some(sum.unwrap_or(0.0) + value);
    }
    sum.context("no such metric in the file")
}

/// Return the time in which some task waited for a CPU, in microseconds, of a pressure file.
fn pressure(text: &str) -> Result<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("some "))
        .and_then(|some| {
            some.split(' ')
                .find_map(|field| field.strip_prefix("total="))
        })
        .and_then(|total| total.parse().ok())
        .context("no line 'some ... total=N'")
}

/// The sources of readings.
pub struct Sources {
    waits: Waits,
    psi: Option<PathBuf>,
    counter: Option<Counter>,
}

impl Sources {
    /// Open those of a cgroup, by its directory and id, or of the host.
    pub fn open(cgroup: Option<(&Path, u64)>, counter: Option<Counter>) -> Result<Self> {
        let psi = match cgroup {
            Some((path, _)) => path.join("cpu.pressure"),
            None => PathBuf::from("/proc/pressure/cpu"),
        };
        let waits = Waits::attach(cgroup.map_or(0, |(_, id)| id))?;
        let mut sources = Self {
            waits,
            psi: None,
            counter,
        };

        // Without CONFIG_PSI the file is missing, with psi=0 or cgroup.pressure it refuses.
        match fs::read_to_string(&psi) {
            Ok(_) => sources.psi = Some(psi),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                bail!("{}: {e}", psi.display())
            }
            Err(_) => warn(&format!(
                "{}: cannot be read: {} is left out",
                psi.display(),
                Metric::PsiCpuPct
            )),
        }
        Ok(sources)
    }

    /// Return the metrics that it has.
    pub fn metrics(&self) -> Vec<Metric> {
        METRICS
            .into_iter()
            .filter(|metric| match metric {
                Metric::PsiCpuPct => self.psi.is_some(),
                Metric::ThroughputPerS => self.counter.is_some(),
                _ => true,
            })
            .collect()
    }

    /// Read all.
    pub fn read(&self) -> Result<Reading> {
        let throughput = self
            .counter
            .as_ref()
            .map(|counter| {
                let begin = Instant::now();
                let value = counter.read()?;
                anyhow::Ok((begin + begin.elapsed() / 2, value))
            })
            .transpose()?;
        let psi_us = self
            .psi
            .as_ref()
            .map(|path| {
                fs::read_to_string(path)
                    .map_err(anyhow::Error::from)
                    .and_then(|text| pressure(&text))
                    .with_context(|| path.display().to_string())
            })
            .transpose()?;

        Ok(Reading {
            at: Instant::now(),
            waits: self.waits.read()?,
            psi_us,
            throughput,
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A window of a second with these waits, and this throughput.
    pub fn measured(waits: &[(u64, u64)], throughput: f64) -> Measured {
        let of = |count| Rate {
            count,
            seconds: 1.0,
        };
        let waits = Counted::of_waits(waits);

        Measured {
            wakeups: waits.run().unwrap(),
            wait_ms: of(waits.wait_ns as f64 / 1e6),
            psi_pct: None,
            throughput: Some(of(throughput)),
        }
    }

    #[test]
    fn metrics_of_windows() {
        let windows = [
            measured(&[(1000, 99)], 10.0),
            measured(&[(1_000_000, 1)], 30.0),
        ];
        let of = |metric: Metric| metric.of(windows.iter());

        assert_eq!(of(Metric::WakeupMeanUs), Some(10.99));
        assert!((of(Metric::WakeupP99Us).unwrap() - 1.0).abs() < 0.02);
        assert_eq!(of(Metric::WaitMsPerS), Some(1.099 / 2.0));
        assert_eq!(of(Metric::PsiCpuPct), None);
        assert_eq!(of(Metric::ThroughputPerS), Some(20.0));
        assert_eq!(Metric::WakeupMeanUs.of([measured(&[], 1.0)].iter()), None);
    }

    #[test]
    fn pressure_files() {
        let text = "some avg10=0.00 avg60=0.12 avg300=0.06 total=8271\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";
        assert_eq!(pressure(text).unwrap(), 8271);
        assert!(pressure("full avg10=0.00 total=9\n").is_err());
    }

    #[test]
    fn counters_of_commands() {
        let read = |command: &str| Counter::Command(command.to_string()).read();

        assert_eq!(read("echo 1.5e3").unwrap(), 1500.0);
        let error = |command: &str| format!("{:#}", read(command).unwrap_err());
        assert!(error("echo x").contains("--throughput 'echo x'"));
        assert!(error("echo x").contains("'x' is not a number"));
        assert!(error("echo inf").contains("'inf' is not a number"));
        assert!(error("exit 3").contains("exit status: 3"));
    }

    /// A command that hangs ends, and ends its children, though signals are blocked here.
    #[test]
    fn a_command_that_hangs() {
        let blocked: SigSet = [Signal::SIGTERM].into_iter().collect();
        blocked.thread_block().unwrap();
        let begin = Instant::now();
        let mask = Counter::Command("grep -c 'SigBlk:.0*$' /proc/self/status".to_string());
        assert_eq!(mask.read().unwrap(), 1.0);
        let hangs = Counter::Command("sleep 100; echo 1".to_string());
        assert!(format!("{:#}", hangs.read().unwrap_err()).contains("within 5 s"));
        assert!(begin.elapsed() < 2 * LIMIT);
        blocked.thread_unblock().unwrap();
    }

    #[test]
    fn counters_of_prometheus() {
        let text = "# HELP requests_total all\n# TYPE requests_total counter\n\
                    requests_total{code=\"200\",path=\"/a b}\"} 5 1700000000\n\
                    requests_total{code=\"500\"} 2\nrequests_total_other 9\nother 1.5\nbad x\n";

        assert_eq!(of_prometheus(text, "requests_total").unwrap(), 7.0);
        let one = "requests_total{code=\"500\"}";
        assert_eq!(of_prometheus(text, one).unwrap(), 2.0);
        assert_eq!(of_prometheus(text, "other").unwrap(), 1.5);
        assert!(of_prometheus(text, "requests").is_err());
        assert!(of_prometheus(text, "bad").is_err());
    }

    #[test]
    fn a_counter_that_falls() {
        let at = Instant::now();
        let reading = |value| Reading {
            at,
            waits: Counted::of_waits(&[]),
            psi_us: None,
            throughput: Some((at, value)),
        };
        assert!(reading(2.0).since(&reading(1.0)).is_ok());
        let error = reading(1.0).since(&reading(2.0)).err().unwrap();
        assert!(error.to_string().contains("fell from 2 to 1"));
    }
}
