// SPDX-License-Identifier: GPL-2.0

//! `serve`: keeps the policies of a configuration attached.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use sd_notify::NotifyState;

use crate::attach::{self, Attached, Where};
use crate::cli::{warn, ServeArgs};
use crate::config::{self, Entry};
use crate::kernel;
use crate::link::Place;
use crate::metrics;
use crate::run::say;
use crate::signals::Signals;
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
    /// None once the kernel has detached it
    attached: Option<Attached>,
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

fn attach_new(name: String, entry: &Entry, target: Target) -> Result<Kept> {
    let load = || -> Result<Attached> {
        let policies = attach::load(entry.object.as_deref(), &entry.policy_args(), &target)?;
        anyhow::ensure!(
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
    let attached = load().with_context(|| format!("policy {name}"))?;

    say(&format!("attached: {name}, link {}", attached.link_id))?;
    Ok(Kept {
        name,
        entry: entry.clone(),
        target,
        attached: Some(attached),
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
        .map(|kept| (kept.name.clone(), kept.attached.is_some()))
        .collect();

    Ok(metrics::text(&Snapshot::take()?, &service))
}

fn listen(path: &Path) -> Result<UnixListener> {
    // Left by one that was killed.
    let _ = fs::remove_file(path);
    UnixListener::bind(path).with_context(|| format!("--socket {}", path.display()))
}

/// Keeps policies attached until a signal comes; SIGHUP reads the configuration again.
pub fn serve(args: &ServeArgs) -> Result<()> {
    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    kernel::require_policies()?;
    let mut kept = Vec::new();
    load(&args.config, &mut kept)?;
    let socket = args.socket.as_deref().map(listen).transpose()?;
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
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)),
        );
        let links = fds.len();
        let attached = || kept.iter().filter_map(|kept| kept.attached.as_ref());
        fds.extend(attached().map(|policy| PollFd::new(policy.as_fd(), PollFlags::empty())));
        match poll(&mut fds, PollTimeout::NONE) {
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
                // Said, counted and left: attached again, it might do the same again.
                warn(&format!(
                    "policy {} was detached: {}",
                    kept.name,
                    policy.why_detached(kept.target.as_cgroup())
                ));
            }
        }
        if let Some(socket) = socket.as_ref().filter(|_| ready[1]) {
            let served = socket
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
                    if let Err(e) = &result {
                        warn(&format!("not reloaded: {e:#}"));
                    }
                    notify(&[NotifyState::Ready]);
                    say(&format!("reloaded in {} ms", since.elapsed().as_millis()))?;
                }
                Some(_) => break,
                None => {}
            }
        }
    }

    notify(&[NotifyState::Stopping]);
    if let Some(path) = &args.socket {
        let _ = fs::remove_file(path);
    }
    Ok(())
}
