// SPDX-License-Identifier: GPL-2.0

//! The base slice of the fair class, set for the time of the demo.

use std::fs;

use anyhow::{Context, Result};

const FILE: &str = "/sys/kernel/debug/sched/base_slice_ns";

const NS_PER_MS: u64 = 1_000_000;

/// A base slice; what it was before is restored when this is dropped.
pub struct BaseSlice {
    before: String,
}

impl BaseSlice {
    /// Sets it, in milliseconds.
    pub fn set(ms: u64) -> Result<Self> {
        Self::set_ns(ms * NS_PER_MS)
    }

    /// Sets it, in nanoseconds.
    pub fn set_ns(ns: u64) -> Result<Self> {
        let before = fs::read_to_string(FILE).context(FILE)?;

        fs::write(FILE, ns.to_string())
            .with_context(|| format!("{FILE}: {ns} ns cannot be set"))?;
        Ok(Self { before })
    }
}

impl Drop for BaseSlice {
    fn drop(&mut self) {
        let _ = fs::write(FILE, &self.before);
    }
}
