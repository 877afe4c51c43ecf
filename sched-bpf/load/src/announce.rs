// SPDX-License-Identifier: GPL-2.0

//! Tells the policy "announced" how long the work of a thread will be.

use std::path::Path;

use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

/// Where the policy has its map, by thread id, of nanoseconds and what it keeps itself.
const MAP: &str = "/sys/fs/bpf/announced";

/// The map of the policy.
pub struct Announcer(MapHandle);

impl Announcer {
    /// Finds it.
    pub fn open() -> Result<Self> {
        MapHandle::from_pinned_path(Path::new(MAP))
            .map(Self)
            .with_context(|| format!("{MAP}: no map there (is the policy 'announced' attached?)"))
    }

    /// Says that the next work of thread `tid` takes `ns` nanoseconds.
    pub fn announce(&self, tid: u32, ns: u64) -> Result<()> {
        let work = [ns, 0].map(u64::to_ne_bytes).concat();

        self.0
            .update(&tid.to_ne_bytes(), &work, MapFlags::ANY)
            .with_context(|| format!("{MAP}: thread {tid} cannot be announced"))
    }
}
