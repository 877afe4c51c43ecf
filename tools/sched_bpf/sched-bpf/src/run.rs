// SPDX-License-Identifier: GPL-2.0

//! `run` and `attach`: policies, for as long as something lasts.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;

use crate::attach::{attach as attach_policies, Attached};
use crate::cgroup::Transient;
use crate::cli::{print_error, AttachArgs, RunArgs};
use crate::command;
use crate::link::Place;
use crate::pins;
use crate::signals::{Received, Signals};
use crate::target::{Target, Task};

/// Exit status of `run` for what is no fault of the command, as of env(1) and timeout(1).
pub const FAILED: u8 = 125;

/// What is waited for.
pub enum Event {
    /// A signal came
    Signal(Received),
    /// The task has ended
    TaskEnded,
    /// The kernel, or somebody, detached the policy of this index
    Detached(usize),
}

fn wait(signals: &Signals, task: Option<&Task>, attached: &[Attached]) -> Result<Event> {
    loop {
        if let Some(event) = wait_until(signals, task, attached, None)? {
            return Ok(event);
        }
    }
}

/// Waits for something to happen; None: it was `end` before, if there is one.
pub fn wait_until(
    signals: &Signals,
    task: Option<&Task>,
    attached: &[Attached],
    end: Option<Instant>,
) -> Result<Option<Event>> {
    loop {
        let timeout = match end {
            None => PollTimeout::NONE,
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                // Rounded up: not some times in the last millisecond.
                PollTimeout::try_from(left.as_micros().div_ceil(1000)).context("time to wait")?
            }
        };
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let descriptors: Vec<BorrowedFd> = attached.iter().map(AsFd::as_fd).collect();
        fds.extend(
            descriptors
                .iter()
                .map(|fd| PollFd::new(*fd, PollFlags::empty())),
        );
        fds.extend(task.map(|task| PollFd::new(task.as_fd(), PollFlags::POLLIN)));

        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => continue,
            result => result.context("poll")?,
        };
        let ready = |fd: &PollFd| fd.any().unwrap_or(false);
        if ready(&fds[0]) {
            if let Some(received) = signals.read()? {
                return Ok(Some(Event::Signal(received)));
            }
        }
        if let Some(i) = (0..attached.len()).find(|i| ready(&fds[1 + i])) {
            return Ok(Some(Event::Detached(i)));
        }
        if fds.len() > 1 + attached.len() && fds.last().is_some_and(ready) {
            return Ok(Some(Event::TaskEnded));
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(None);
        }
    }
}

/// Attaches the policy, runs the command, detaches.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let target = Target::from_args(&args.target)?;
    let place = Place::from_args(&args.place)?;
    let signals = Signals::block(&[
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ])?;
    // Dropped in the opposite order: the cgroup is empty once the command has ended.
    let mut own = None;
    let command = command::prepare(&args.command, &signals)?;
    let target = match target {
        Some(target) => target,
        None => {
            let cgroup = own.insert(Transient::create()?);
            cgroup.add(command.pid.as_raw())?;
            Target::cgroup(&cgroup.path)?
        }
    };
    let mut attached = attach_policies(args.object.as_deref(), &args.policy, &target, place)?;
    let mut task = target.as_task();
    let mut lost = false;

    let running = match command.start()? {
        Ok(running) => running,
        Err(failure) => {
            print_error(&failure.message);
            return Ok(ExitCode::from(failure.status));
        }
    };
    let status = loop {
        match wait(&signals, task, &attached)? {
            Event::Signal(received) if received.signal == Signal::SIGCHLD => {
                if let Some(status) = running.status()? {
                    break status;
                }
            }
            // What a terminal sends the command got too.
            Event::Signal(received) if received.by_kernel => {}
            Event::Signal(received) => running.signal(received.signal),
            Event::TaskEnded => task = None,
            Event::Detached(i) => {
                print_error(&format!(
                    "{}; the command goes on without it",
                    attached.remove(i).how_detached(target.as_cgroup())
                ));
                lost = true;
            }
        }
    };
    drop(attached);
    drop(own);

    Ok(ExitCode::from(if lost && status == 0 {
        FAILED
    } else {
        status
    }))
}

/// Attaches the policy until a signal comes, or for good.
pub fn attach(args: &AttachArgs) -> Result<()> {
    let target = Target::from_args(&args.target)?.context(match args.file {
        None => "no target given: --pid, --tgid, --cgroup or --all is needed",
        Some(_) => "no target given: --cgroup or --all is needed",
    })?;
    let place = Place::from_args(&args.place)?;
    let file = args.file.as_deref();

    // "--before LINK" names no link: what follows is FILE.
    if let Some(path) = file.filter(|path| !path.exists() && args.place.is_without_link()) {
        bail!(
            "{path}: no such file; a link is given as --before={path} or --after={path}",
            path = path.display()
        );
    }
    if args.keep {
        pins::require_bpffs()?;
        for policy in pins::keep(attach_policies(file, &args.policy, &target, place)?)? {
            say(&format!("attached and kept: {}", policy.display()))?;
        }
        return Ok(());
    }

    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    let attached = attach_policies(file, &args.policy, &target, place)?;
    for policy in &attached {
        say(&format!(
            "attached: {}, link {}",
            policy.name, policy.link_id
        ))?;
    }
    match wait(&signals, target.as_task(), &attached)? {
        Event::Signal(_) => Ok(()),
        Event::TaskEnded => say(&format!("detached: {} has ended", target.number())),
        Event::Detached(i) => bail!("{}", attached[i].how_detached(target.as_cgroup())),
    }
}

/// Prints a line at once, for a reader that waits for it.
pub fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout();

    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("standard output")
}
