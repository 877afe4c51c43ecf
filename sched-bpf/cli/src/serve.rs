// SPDX-License-Identifier: GPL-2.0

//! `serve`: keeps the policies of a configuration attached.

mod retry;
mod watch;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use sched_bpf_core::attach::{attach, Attached, Condition};
use sched_bpf_core::kernel;
use sched_bpf_core::target::{Cgroup, Target};
use sd_notify::NotifyState;

use crate::args::ServeArgs;
use crate::config::{self, Entry, Place};
use crate::metrics::{self, Configured};
use crate::output::{warn, Output};
use crate::request::require_policies;
use crate::signals::Signals;
use crate::wait::{poll_until, LOOK};
use retry::Retry;
use watch::Watch;

/// A policy of the configuration at one of its targets.
struct Kept {
    entry: Entry,
    place: Place,
    attached: Option<Attached>,
    /// It was over its time budget; its link is kept, for an operator to see
    disabled: bool,
    retry: Retry,
}

impl Kept {
    fn new(entry: &Entry, place: Place) -> Self {
        Self {
            entry: entry.clone(),
            place,
            attached: None,
            disabled: false,
            retry: Retry::default(),
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.entry.name, self.place)
    }

    fn is_in_force(&self) -> bool {
        self.attached.is_some() && !self.disabled
    }

    fn warn(&self, what: &str, pause: Option<Duration>) {
        let name = self.name();

        warn(&match pause {
            Some(pause) => {
                format!("policy {name} {what}; it is tried again in {} s", pause.as_secs())
            }
            None => format!("policy {name} {what}; it stays so until a reload"),
        });
    }

    /// Look whether it is still in force.
    fn look(&mut self) -> Result<()> {
        let Some(attached) = self.attached.as_ref().filter(|_| !self.disabled) else {
            return Ok(());
        };
        let condition = attached.condition()?;
        let now = Instant::now();

        match &condition {
            Condition::InForce => return Ok(()),
            Condition::Disabled => {
                self.disabled = true;
                let pause = self.retry.failed(now);
                self.warn(&condition.to_string(), pause);
            }
            Condition::CgroupRemoved(_) => {
                self.attached = None;
                warn(&format!(
                    "policy {} {condition}; it is attached when there is one again",
                    self.name()
                ));
            }
            Condition::Detached => {
                self.attached = None;
                self.retry.give_up();
                self.warn(&condition.to_string(), None);
            }
        }
        Ok(())
    }

    fn attach(&self, path: &Path) -> Result<Attached> {
        let cgroup = Cgroup::open(path).with_context(|| path.display().to_string())?;
        let target = Target::Cgroup(cgroup.clone());
        let policies = self.entry.spec()?.load(&target)?;
        ensure!(
            policies.ops.len() == 1,
            "its object has {} policies; one is expected",
            policies.ops.len()
        );
        let mut all = attach(&policies, &cgroup, &self.entry.place()?)?;
        all.pop().context("nothing was attached")
    }

    /// Attach it, if it is not in force and its time has come. Returns the path of a cgroup to
    /// wait for.
    fn bring_in_force(&mut self, out: Output) -> Result<Option<PathBuf>> {
        let now = Instant::now();

        if self.is_in_force() || !self.retry.is_due(now) {
            return Ok(None);
        }
        let attached = match self.place.path() {
            Ok(path) if !path.exists() => return Ok(Some(path)),
            Ok(path) => {
                // The disabled one first, which would be a second one else.
                self.attached = None;
                self.disabled = false;
                self.attach(&path)
            }
            Err(e) => Err(e),
        };
        match attached {
            Ok(attached) => {
                let link = format!("link {}", attached.id);
                out.event("attached", &self.name(), &link)?;
                self.retry.attached(now);
                self.attached = Some(attached);
            }
            Err(e) => {
                let pause = self.retry.failed(now);
                self.warn(&format!("was not attached: {e:#}"), pause);
            }
        }
        Ok(None)
    }

    /// Take a changed entry without a gap. False: it has to be attached anew.
    fn replace(&mut self, entry: &Entry, out: Output) -> Result<bool> {
        if self.entry == *entry {
            return Ok(self.is_in_force());
        }
        let same_place = (self.entry.preorder, self.entry.first) == (entry.preorder, entry.first);
        let Some(attached) = self.attached.as_mut().filter(|_| same_place) else {
            return Ok(false);
        };
        let target = Target::Cgroup(Cgroup::root()?);

        attached.update(&entry.spec()?.load(&target)?)?;
        self.entry = entry.clone();
        self.disabled = false;
        let link = format!("link {}", attached.id);
        out.event("replaced", &self.name(), &link)?;
        Ok(true)
    }
}

fn notify(state: &[NotifyState]) {
    if let Err(e) = sd_notify::notify(false, state) {
        warn(&format!("sd_notify: {e}"));
    }
}

/// The policies of the configuration.
struct Service {
    out: Output,
    kept: Vec<Kept>,
    watch: Watch,
    state: PathBuf,
    /// The contents of the state file
    written: String,
}

impl Service {
    /// Take a configuration: replace what has changed, drop what is gone. A policy that cannot
    /// be loaded does not keep the others from being attached; the old one stays.
    fn load(&mut self, path: &Path) -> Result<()> {
        let entries = config::read(path)?;
        let mut before = std::mem::take(&mut self.kept);

        for entry in &entries {
            for place in entry.places() {
                let same = |old: &Kept| old.entry.name == entry.name && old.place == place;
                let Some(i) = before.iter().position(same) else {
                    self.kept.push(Kept::new(entry, place));
                    continue;
                };
                let mut old = before.remove(i);
                self.kept.push(match old.replace(entry, self.out) {
                    Ok(true) => old,
                    Ok(false) => Kept::new(entry, place),
                    Err(e) => {
                        warn(&format!("policy {} was not replaced: {e:#}", old.name()));
                        old
                    }
                });
            }
        }
        for gone in before.iter().filter(|gone| gone.attached.is_some()) {
            self.out.event("detached", &gone.name(), "")?;
        }
        Ok(())
    }

    /// Attach what is not in force, and wait for the cgroups that do not exist.
    fn bring_in_force(&mut self) -> Result<()> {
        loop {
            let mut absent = Vec::new();
            for kept in &mut self.kept {
                absent.extend(kept.bring_in_force(self.out)?);
            }
            // One may have appeared before it was watched.
            if !self.watch.set(&absent)? {
                break;
            }
        }
        self.write_state();
        Ok(())
    }

    fn write_state(&mut self) {
        let state: Vec<_> = self
            .kept
            .iter()
            .map(|kept| Configured {
                name: kept.entry.name.clone(),
                target: kept.place.to_string(),
                link: kept.attached.as_ref().map(|attached| attached.id),
                in_force: kept.is_in_force(),
                retries: kept.retry.total,
                given_up: kept.retry.given_up,
            })
            .collect();
        let Ok(text) = serde_json::to_string(&state) else {
            return;
        };
        if text == self.written {
            return;
        }
        if let Err(e) = metrics::write_file(&self.state, &text) {
            warn(&format!("{e:#}; metrics have no names"));
        }
        self.written = text;
    }

    fn in_force(&self) -> usize {
        self.kept.iter().filter(|kept| kept.is_in_force()).count()
    }

    fn status(&self) -> String {
        format!("{} of {} attached", self.in_force(), self.kept.len())
    }

    fn reload(&mut self, path: &Path) -> Result<()> {
        let since = Instant::now();
        notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]);
        let result = self.load(path);

        self.bring_in_force()?;
        notify(&[NotifyState::Ready, NotifyState::Status(&self.status())]);
        match result {
            Ok(()) => {
                let time = format!("in {} ms", since.elapsed().as_millis());
                self.out.event("reloaded", &self.status(), &time)
            }
            Err(e) => {
                warn(&format!("not reloaded: {e:#}"));
                Ok(())
            }
        }
    }
}

/// Keep policies attached until a signal comes; SIGHUP reloads.
pub fn serve(args: &ServeArgs, out: Output) -> Result<()> {
    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    kernel::require_policies()?;
    let mut service = Service {
        out,
        kept: Vec::new(),
        watch: Watch::new()?,
        state: args.state.clone(),
        written: String::new(),
    };
    service.load(&args.config)?;
    require_policies()?;
    service.bring_in_force()?;
    notify(&[NotifyState::Ready, NotifyState::Status(&service.status())]);
    out.event("ready", &service.status(), "")?;

    loop {
        let mut fds = vec![
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(service.watch.as_fd(), PollFlags::POLLIN),
        ];
        let links = service.kept.iter().filter(|kept| kept.is_in_force());
        fds.extend(
            links
                .filter_map(|kept| kept.attached.as_ref())
                .map(|attached| PollFd::new(attached.as_fd(), PollFlags::empty())),
        );
        let ready = poll_until(&mut fds, Instant::now() + LOOK)?;

        if ready[1] {
            service.watch.drain();
        }
        service.kept.iter_mut().try_for_each(Kept::look)?;
        service.bring_in_force()?;
        if ready[0] {
            match signals.read()?.map(|received| received.signal) {
                Some(Signal::SIGHUP) => service.reload(&args.config)?,
                Some(_) => break,
                None => {}
            }
        }
    }

    notify(&[NotifyState::Stopping]);
    let _ = fs::remove_file(&args.state);
    Ok(())
}
