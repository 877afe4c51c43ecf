// SPDX-License-Identifier: GPL-2.0

//! Slices of single threads, as stock kernels have them.

use std::io;

use anyhow::{ensure, Result};
use nix::libc;
use nix::unistd::gettid;

/// The slices that a thread can have, in nanoseconds.
const RANGE_NS: (u64, u64) = (100_000, 100_000_000);

/// The first version of struct sched_attr.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Gives thread `tid` a slice of `ns` nanoseconds, or the next that it can have, and makes
/// it a SCHED_OTHER thread of nice 0.
pub fn slice(tid: u32, ns: u64) -> Result<()> {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        runtime: ns.clamp(RANGE_NS.0, RANGE_NS.1),
        ..Default::default()
    };
    // SAFETY: the kernel reads `size` bytes of `attr`, which are there, and writes none.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, tid, &attr, 0) };

    ensure!(
        result == 0,
        "thread {tid}: a slice of {} ns cannot be set: {}",
        attr.runtime,
        io::Error::last_os_error()
    );
    Ok(())
}

/// Gives the calling thread a slice of `us` microseconds, or none of its own if that is 0.
pub fn own_slice(us: u64) -> Result<()> {
    match us {
        0 => Ok(()),
        us => slice(gettid().as_raw() as u32, us * 1000),
    }
}
