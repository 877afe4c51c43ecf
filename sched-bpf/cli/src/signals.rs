// SPDX-License-Identifier: GPL-2.0

//! Signals that are read instead of handled.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// A set of blocked signals.
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

/// A signal that came.
pub struct Received {
    pub signal: Signal,
    /// The kernel sent it, as it does for a terminal, to all processes there.
    pub by_kernel: bool,
}

impl Signals {
    /// Block `signals`, before there are other threads.
    pub fn block(signals: &[Signal]) -> Result<Self> {
        let waited: SigSet = signals.iter().copied().collect();
        let before = SigSet::thread_get_mask().context("signal mask")?;

        waited.thread_block().context("signal mask")?;
        let fd = SignalFd::with_flags(&waited, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .context("signalfd")?;
        Ok(Self { fd, before })
    }

    /// Return the next that came, if one did.
    pub fn read(&self) -> Result<Option<Received>> {
        let Some(info) = self.fd.read_signal().context("signalfd")? else {
            return Ok(None);
        };

        Ok(Some(Received {
            signal: Signal::try_from(info.ssi_signo as i32).context("signalfd")?,
            by_kernel: info.ssi_code == nix::libc::SI_KERNEL,
        }))
    }

    /// Return the signal mask from before.
    pub fn before(&self) -> SigSet {
        self.before
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
