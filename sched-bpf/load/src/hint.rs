// SPDX-License-Identifier: GPL-2.0

//! Tells the policy "holder" by its map that the calling thread has a lock.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{compiler_fence, AtomicU32, Ordering};

use anyhow::{ensure, Context, Result};
use libbpf_rs::{MapCore, MapHandle};
use nix::sys::mman::{mmap, MapFlags, ProtFlags};
use nix::unistd::gettid;

/// Where the policy has its map, of a [`Slot`] each.
const MAP: &str = "/sys/fs/bpf/holding";

/// A thread has the slot of its id, modulo the number of slots.
#[repr(C, align(64))]
struct Slot {
    /// The thread that has a lock, or 0
    holder: AtomicU32,
}

/// The map of the policy.
pub struct Slots(&'static [Slot]);

impl Slots {
    /// Maps it into memory.
    pub fn open() -> Result<Self> {
        let map = MapHandle::from_pinned_path(Path::new(MAP))
            .with_context(|| format!("{MAP}: no map there (is the policy 'holder' attached?)"))?;
        let count = map.max_entries() as usize;

        ensure!(
            map.value_size() as usize == size_of::<Slot>(),
            "{MAP}: not of this version: a value has {} bytes",
            map.value_size()
        );
        let length = (count * size_of::<Slot>())
            .try_into()
            .with_context(|| format!("{MAP}: it is empty"))?;
        // SAFETY: without an address to be at, it replaces no other mapping.
        let memory = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                map.as_fd(),
                0,
            )
        }
        .with_context(|| format!("{MAP}: cannot be mapped"))?;
        // SAFETY: the kernel has mapped `count` slots, a page boundary is aligned for the
        // first of them, any bytes are a slot, others access them as the atomic numbers that
        // they are, and nothing unmaps them.
        let slots = unsafe { std::slice::from_raw_parts(memory.cast::<Slot>().as_ptr(), count) };

        Ok(Self(slots))
    }

    fn of(&self, tid: u32) -> &AtomicU32 {
        &self.0[tid as usize % self.0.len()].holder
    }
}

/// Where a thread says that it has a lock: its slot, and its id.
pub struct Hint<'a>(Option<(&'a AtomicU32, u32)>);

impl<'a> Hint<'a> {
    /// Of the calling thread, if there is a map.
    pub fn new(slots: Option<&'a Slots>) -> Self {
        let tid = gettid().as_raw() as u32;

        Self(slots.map(|slots| (slots.of(tid), tid)))
    }

    /// It has taken a lock.
    pub fn taken(&self) {
        if let Some((slot, tid)) = self.0 {
            slot.store(tid, Ordering::Relaxed);
        }
        // Readers interrupt this thread, so that the order of the program is enough.
        compiler_fence(Ordering::SeqCst);
    }

    /// It has released it.
    pub fn released(&self) {
        compiler_fence(Ordering::SeqCst);
        if let Some((slot, _)) = self.0 {
            slot.store(0, Ordering::Relaxed);
        }
    }
}
