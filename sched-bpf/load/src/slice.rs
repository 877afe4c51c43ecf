// SPDX-License-Identifier: GPL-2.0

//! Slices of all tasks, set for the time of a load.

use std::fs;

use anyhow::{Context, Result};

/// The base slice of the fair class.
pub const BASE: &str = "/sys/kernel/debug/sched/base_slice_ns";

/// A slice; what it was before is restored when this is dropped.
pub struct Slice {
    file: &'static str,
    before: String,
}

impl Slice {
    /// Sets that of a file, in nanoseconds.
    pub fn set(file: &'static str, ns: u64) -> Result<Self> {
        let before = fs::read_to_string(file).context(file)?;

        fs::write(file, ns.to_string())
            .with_context(|| format!("{file}: {ns} ns cannot be set"))?;
        Ok(Self { file, before })
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        let _ = fs::write(self.file, &self.before);
    }
}
