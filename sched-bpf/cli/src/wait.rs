// SPDX-License-Identifier: GPL-2.0

//! Waiting for signals, tasks and policies.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use sched_bpf_core::attach::{Attached, Condition};
use sched_bpf_core::target::Task;

use crate::signals::{Received, Signals};

/// A link says when it is detached, but not when its policy is disabled: time between looks.
pub const LOOK: Duration = Duration::from_secs(1);

/// An event.
pub enum Event {
    Signal(Received),
    TaskEnded,
    /// The policy of this index is not in force any more
    Lost(usize, Condition),
}

/// Poll until one of the descriptors is ready, at most until `end`, and return which are.
pub fn poll_until(fds: &mut [PollFd], end: Instant) -> Result<Vec<bool>> {
    let left = end.saturating_duration_since(Instant::now());
    // Rounded up, not to poll without a pause in the last millisecond.
    let timeout =
        PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);

    match poll(fds, timeout) {
        Ok(_) => Ok(fds.iter().map(|fd| fd.any().unwrap_or(false)).collect()),
        Err(Errno::EINTR) => Ok(vec![false; fds.len()]),
        Err(e) => Err(e).context("poll"),
    }
}

/// Wait for an event; None if there was none before `end`.
pub fn wait(
    signals: &Signals,
    task: Option<&Task>,
    attached: &[Attached],
    end: Option<Instant>,
) -> Result<Option<Event>> {
    loop {
        let look = Instant::now() + LOOK;
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let links: Vec<BorrowedFd> = attached.iter().map(AsFd::as_fd).collect();
        fds.extend(links.iter().map(|fd| PollFd::new(*fd, PollFlags::empty())));
        fds.extend(task.map(|task| PollFd::new(task.as_fd(), PollFlags::POLLIN)));
        let ready = poll_until(&mut fds, end.map_or(look, |end| end.min(look)))?;

        if ready[0] {
            if let Some(received) = signals.read()? {
                return Ok(Some(Event::Signal(received)));
            }
        }
        for (i, policy) in attached.iter().enumerate() {
            match policy.condition()? {
                Condition::InForce => {}
                condition => return Ok(Some(Event::Lost(i, condition))),
            }
        }
        if task.is_some() && ready.last() == Some(&true) {
            return Ok(Some(Event::TaskEnded));
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(None);
        }
    }
}
