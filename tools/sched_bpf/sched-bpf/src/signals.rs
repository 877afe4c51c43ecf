// SPDX-License-Identifier: GPL-2.0

//! Signals that are waited for instead of handled.

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};

/// A set of signals that do nothing until they are waited for.
pub struct Signals {
    waited: SigSet,
    before: SigSet,
}

impl Signals {
    /// Holds back `signals`. Called before there are other threads.
    pub fn block(signals: &[Signal]) -> Result<Self> {
        let waited: SigSet = signals.iter().copied().collect();
        let before = SigSet::thread_get_mask().context("signal mask")?;

        waited.thread_block().context("signal mask")?;
        Ok(Self { waited, before })
    }

    /// Waits for one of them.
    pub fn wait(&self) -> Result<Signal> {
        self.waited.wait().context("waiting for a signal")
    }

    /// The signal mask from before.
    pub fn before(&self) -> SigSet {
        self.before
    }
}
