// SPDX-License-Identifier: GPL-2.0

//! `serve`: keeps the policies of a configuration attached.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use sd_notify::NotifyState;

use crate::attach::{self, Attached, Where, Why};
use crate::cli::{warn, ServeArgs};
use crate::config::{self, Entry};
use crate::kernel;
use crate::link::Place;
use crate::metrics;
use crate::retry::Retry;
use crate::run::say;
use crate::signals::Signals;
use crate::sigpipe;
use crate::snapshot::Snapshot;
use crate::target::{Cgroup, Target};

/// How long who connects may take to be served.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(1);

/// A policy of the configuration at one of its targets.
struct Kept {
    /// Of the entry, and of the cgroup
    name: String,
    entry: Entry,
    target: Target,
    /// None while it is detached
    attached: Option<Attached>,
    retry: Retry,
}

impl Kept {
    /// It is detached: said, and when it is tried again. What somebody else detached is to
    /// stay so.
    fn detached(&mut self, why: &Why) {
        let tries = match why {
            Why::ByAnother => {
                self.retry.give_up();
                None
            }
            _ => {
                let own_fault = *why == Why::TookTooMuchTime;
                self.retry.detached(Instant::now(), own_fault)
            }
        };
        self.warn(&format!("was detached: {why}"), tries);
    }

    fn warn(&self, what: &str, pause: Option<Duration>) {
        warn(&match pause {
            Some(pause) => format!(
                "policy {} {what}; tried again in {} s",
                self.name,
                pause.as_secs()
            ),
            None => format!("policy {} {what}; it stays so until a reload", self.name),
        });
    }

    /// Attaches it again, if its time has come.
    fn try_again(&mut self) -> Result<()> {
        let now = Instant::now();

        if self.retry.left(now) != Some(Duration::ZERO) {
            return Ok(());
        }
        if let Target::Cgroup(cgroup) = &self.target {
            // Waited for in silence: a service that is stopped has none.
            let Ok(target) = Target::cgroup(&cgroup.path) else {
                self.retry.wait(now);
                return Ok(());
            };
            self.target = target;
        }
        self.retry.started();
        match attach(&self.name, &self.entry, &self.target) {
            Ok(attached) => {
                say(&format!(
                    "attached again: {}, link {}",
                    self.name, attached.link_id
                ))?;
                self.attached = Some(attached);
                self.retry.attached(now);
            }
            Err(e) => {
                let pause = self.retry.failed(now);
                self.warn(&format!("was not attached: {e:#}"), pause);
            }
        }
        Ok(())
    }
}

fn notify(state: &[NotifyState]) {
    if let Err(e) = sd_notify::notify(false, state) {
        warn(&format!("sd_notify: {e}"));
    }
}

/// Do two entries differ in nothing that a replacement does not keep?
fn same_place(a: &Entry, b: &Entry) -> bool {
    (a.preorder, a.first) == (b.preorder, b.first)
}

fn attach(name: &str, entry: &Entry, target: &Target) -> Result<Attached> {
    let load = || -> Result<Attached> {
        let policies = attach::load(entry.object.as_deref(), &entry.policy_args(), target)?;
        ensure!(
            policies.tables.len() == 1,
            "its object has {} policies; one is expected",
            policies.tables.len()
        );
        let to = Where {
            cgroup: target.as_cgroup(),
            place: Place::from_args(&entry.place_args())?,
        };
        let mut all = attach::attach_all(&policies, &to)?;
        all.pop().context("nothing was attached")
    };
    load().with_context(|| format!("policy {name}"))
}

fn attach_new(name: String, entry: &Entry, target: Target) -> Result<Kept> {
    let attached = attach(&name, entry, &target)?;
    let mut retry = Retry::default();

    retry.attached(Instant::now());
    say(&format!("attached: {name}, link {}", attached.link_id))?;
    Ok(Kept {
        name,
        entry: entry.clone(),
        target,
        attached: Some(attached),
        retry,
    })
}

/// Attaches what is new, replaces without a gap what has changed, detaches what is gone. If
/// something of it cannot be loaded nothing changes; if the kernel refuses it later, what was
/// attached before stays attached.
fn load(path: &Path, kept: &mut Vec<Kept>) -> Result<()> {
    config::check(path)?;
    let entries = config::read(path)?;
    let mut before = std::mem::take(kept);

    let result = entries
        .iter()
        .try_for_each(|entry| load_entry(entry, &mut before, kept));
    if result.is_err() {
        kept.append(&mut before);
    }
    for gone in before.iter().filter(|gone| gone.attached.is_some()) {
        say(&format!("detached: {}", gone.name))?;
    }
    result
}

fn load_entry(entry: &Entry, before: &mut Vec<Kept>, kept: &mut Vec<Kept>) -> Result<()> {
    for (name, target) in entry.targets()? {
        let old = before.iter().position(|old| {
            old.name == name
                && old.attached.is_some()
                && same_place(&old.entry, entry)
                && !old.target.as_cgroup().is_some_and(Cgroup::is_removed)
        });
        let Some(i) = old else {
            kept.push(attach_new(name, entry, target)?);
            continue;
        };
        if before[i].entry != *entry {
            let policies = attach::load(entry.object.as_deref(), &entry.policy_args(), &target)?;
            if let (Some(attached), [table]) = (&before[i].attached, &policies.tables[..]) {
                attached
                    .link
                    .update(table.as_fd())
                    .with_context(|| format!("policy {name}: not replaced"))?;
                say(&format!("replaced: {name}, link {}", attached.link_id))?;
            }
            before[i].entry = entry.clone();
        }
        kept.push(before.remove(i));
    }
    Ok(())
}

/// Answers who connects: with HTTP if asked so, as a scraper does, else with the bare text.
fn answer(mut client: UnixStream, text: &str) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_millis(100)))?;
    client.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut request = String::new();
    let _ = BufReader::new(&client).read_line(&mut request);

    if request.starts_with("GET ") {
        write!(
            client,
            "HTTP/1.0 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; \
             charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            text.len()
        )?;
    }
    client.write_all(text.as_bytes())
}

fn metrics_text(kept: &[Kept]) -> Result<String> {
    let service: Vec<_> = kept
        .iter()
        .map(|kept| metrics::Configured {
            name: kept.name.clone(),
            attached: kept.attached.is_some(),
            retries: kept.retry.total,
            given_up: kept.retry.given_up,
        })
        .collect();

    Ok(metrics::text(&Snapshot::take()?, &service))
}

/// How long nothing needs to be tried again.
fn until_retry(kept: &[Kept]) -> PollTimeout {
    let now = Instant::now();
    let left = kept.iter().filter_map(|kept| kept.retry.left(now)).min();

    // Not a millisecond too early.
    left.map_or(PollTimeout::NONE, |left| {
        PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
    })
}

/// The socket of the metrics, removed when dropped.
struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds it, in place of one that was left by a service that was killed.
    fn bind(path: &Path) -> Result<Self> {
        let name = path.display();

        if let Ok(there) = fs::symlink_metadata(path) {
            ensure!(
                there.file_type().is_socket(),
                "--socket {name}: there is something else; the path of a socket is expected"
            );
            ensure!(
                UnixStream::connect(path).is_err(),
                "--socket {name}: another process answers there"
            );
            let _ = fs::remove_file(path);
        }
        Ok(Self {
            listener: UnixListener::bind(path).with_context(|| format!("--socket {name}"))?,
            path: path.to_path_buf(),
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Keeps policies attached until a signal comes; SIGHUP reads the configuration again. What
/// the kernel detaches is attached again, after pauses that grow, and so many times in a row.
pub fn serve(args: &ServeArgs) -> Result<()> {
    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    sigpipe::ignore();
    kernel::require_policies()?;
    // Before anything is attached.
    let socket = args.socket.as_deref().map(Socket::bind).transpose()?;
    let mut kept = Vec::new();
    load(&args.config, &mut kept)?;
    notify(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("{} attached", kept.len())),
    ]);
    say(&format!("ready: {} attached", kept.len()))?;

    loop {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            socket
                .iter()
                .map(|socket| PollFd::new(socket.listener.as_fd(), PollFlags::POLLIN)),
        );
        let links = fds.len();
        let attached = || kept.iter().filter_map(|kept| kept.attached.as_ref());
        fds.extend(attached().map(|policy| PollFd::new(policy.as_fd(), PollFlags::empty())));
        match poll(&mut fds, until_retry(&kept)) {
            Err(Errno::EINTR) => continue,
            result => result.context("poll")?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        let gone: Vec<i32> = attached()
            .zip(&ready[links..])
            .filter(|(_, ready)| **ready)
            .map(|(policy, _)| policy.as_fd().as_raw_fd())
            .collect();

        for kept in &mut kept {
            let is_gone = |policy: &mut Attached| gone.contains(&policy.as_fd().as_raw_fd());
            if let Some(policy) = kept.attached.take_if(is_gone) {
                let why = policy.why_detached(kept.target.as_cgroup());
                kept.detached(&why);
            }
            kept.try_again()?;
        }
        if let Some(socket) = socket.as_ref().filter(|_| ready[1]) {
            let served = socket
                .listener
                .accept()
                .map_err(anyhow::Error::from)
                .and_then(|(client, _)| Ok(answer(client, &metrics_text(&kept)?)?));
            if let Err(e) = served {
                warn(&format!("metrics: {e:#}"));
            }
        }
        if ready[0] {
            match signals.read()?.map(|received| received.signal) {
                Some(Signal::SIGHUP) => {
                    let since = Instant::now();
                    notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]);
                    let result = load(&args.config, &mut kept);
                    notify(&[NotifyState::Ready]);
                    match result {
                        Ok(()) => {
                            say(&format!("reloaded in {} ms", since.elapsed().as_millis()))?;
                        }
                        Err(e) => warn(&format!("not reloaded: {e:#}")),
                    }
                }
                Some(_) => break,
                None => {}
            }
        }
    }

    notify(&[NotifyState::Stopping]);
    Ok(())
}
