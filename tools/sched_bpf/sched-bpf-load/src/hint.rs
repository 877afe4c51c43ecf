// SPDX-License-Identifier: GPL-2.0

//! Tells the kernel that the calling thread has a lock: the policy "holder", by its map, or
//! any kernel with rseq slice extensions.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{compiler_fence, AtomicU32, AtomicU8, Ordering};

use anyhow::{ensure, Context, Result};
use libbpf_rs::{MapCore, MapHandle};
use nix::libc;
use nix::sys::mman::{mmap, MapFlags, ProtFlags};
use nix::unistd::gettid;

use crate::cli::HintBy;

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

/// Longer than what any kernel knows of it, so that it also is aligned well enough.
const AREA_BYTES: usize = 256;

/// struct rseq of a thread, as far as it is used.
#[repr(C, align(256))]
#[derive(Default)]
struct Area {
    cpus: [AtomicU32; 2],
    section: [AtomicU32; 2],
    flags: AtomicU32,
    ids: [AtomicU32; 2],
    request: AtomicU8,
    granted: AtomicU8,
}

const SLICE_EXT_DEFAULT_ON: u32 = 1 << 1;
const SLICE_EXT_ENABLED: u32 = 1 << 5;
const UNREGISTER: u32 = 1 << 0;
const SIGNATURE: u32 = 0x5305_3053;

/// Its number is the same everywhere; libc has no name for it.
const SYS_RSEQ_SLICE_YIELD: libc::c_long = 471;

/// The calling thread's slice extensions, until it is dropped, by the same thread.
pub struct Extension(Box<Area>);

impl Extension {
    fn new() -> Result<Self> {
        let area = Box::<Area>::default();

        Self::rseq(&area, SLICE_EXT_DEFAULT_ON).context(
            "rseq cannot be registered (the C library has done that, if it was not \
             started with GLIBC_TUNABLES=glibc.pthread.rseq=0)",
        )?;
        let this = Self(area);
        ensure!(
            this.0.flags.load(Ordering::Relaxed) & SLICE_EXT_ENABLED != 0,
            "the kernel has no rseq slice extensions"
        );
        Ok(this)
    }

    fn rseq(area: &Area, flags: u32) -> io::Result<()> {
        // SAFETY: the area is as long as is said. The kernel writes to it until it is
        // unregistered, which drop() does or, where that fails, leaves the area for good;
        // all of it are numbers that may change at any time, which atomic ones may.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rseq,
                std::ptr::from_ref(area),
                AREA_BYTES,
                flags,
                SIGNATURE,
            )
        };

        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn ask(&self) {
        self.0.request.store(1, Ordering::Relaxed);
    }

    /// Asks no more, and gives back what was granted.
    fn done(&self) {
        self.0.request.store(0, Ordering::Relaxed);
        if self.0.granted.load(Ordering::Relaxed) != 0 {
            // SAFETY: it takes no argument, and only gives up the CPU.
            unsafe { libc::syscall(SYS_RSEQ_SLICE_YIELD) };
        }
    }
}

impl Drop for Extension {
    fn drop(&mut self) {
        if Self::rseq(&self.0, UNREGISTER).is_err() {
            Box::leak(std::mem::take(&mut self.0));
        }
    }
}

/// Whom a thread tells that it has a lock.
pub enum Hint<'a> {
    /// Nobody
    None,
    /// The policy, in the slot of this thread, whose id follows
    Slot(&'a AtomicU32, u32),
    /// The kernel
    Extension(Extension),
}

impl<'a> Hint<'a> {
    /// Of the calling thread; `slots` are there if it is by the map.
    pub fn new(by: Option<HintBy>, slots: Option<&'a Slots>) -> Result<Self> {
        let tid = gettid().as_raw() as u32;

        Ok(match (by, slots) {
            (Some(HintBy::Rseq), _) => Self::Extension(Extension::new()?),
            (Some(HintBy::Map), Some(slots)) => Self::Slot(slots.of(tid), tid),
            _ => Self::None,
        })
    }

    /// It has taken a lock.
    pub fn taken(&self) {
        match self {
            Self::None => (),
            Self::Slot(slot, tid) => slot.store(*tid, Ordering::Relaxed),
            Self::Extension(extension) => extension.ask(),
        }
        // Whoever reads it interrupts this thread, so that the order of the program is enough.
        compiler_fence(Ordering::SeqCst);
    }

    /// It has released it.
    pub fn released(&self) {
        compiler_fence(Ordering::SeqCst);
        match self {
            Self::None => (),
            Self::Slot(slot, _) => slot.store(0, Ordering::Relaxed),
            Self::Extension(extension) => extension.done(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn layouts() {
        assert_eq!(size_of::<Slot>(), 64);
        assert_eq!(size_of::<Area>(), AREA_BYTES);
        assert_eq!(align_of::<Area>(), AREA_BYTES);
        assert_eq!(offset_of!(Area, flags), 16);
        assert_eq!(offset_of!(Area, request), 28);
        assert_eq!(offset_of!(Area, granted), 29);
    }

    #[test]
    fn a_slot_says_who() {
        let slot = AtomicU32::new(0);
        let hint = Hint::Slot(&slot, 7);

        hint.taken();
        assert_eq!(slot.load(Ordering::Relaxed), 7);
        hint.released();
        assert_eq!(slot.load(Ordering::Relaxed), 0);
    }
}
