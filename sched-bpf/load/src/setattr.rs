// SPDX-License-Identifier: GPL-2.0

//! Slices of single threads, as stock kernels have them.

use std::io;

use anyhow::{ensure, Result};
use nix::libc;

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

/// Gives the calling thread a slice of `us` microseconds, or none of its own if that is 0, and
/// makes it a SCHED_OTHER thread of nice 0 then.
pub fn own_slice(us: u64) -> Result<()> {
    if us == 0 {
        return Ok(());
    }
    let attr =
        SchedAttr { size: size_of::<SchedAttr>() as u32, runtime: us * 1000, ..Default::default() };
    // SAFETY: the kernel reads `size` bytes of `attr`, which are there, and writes none.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &attr, 0) };

    ensure!(result == 0, "a slice of {us} us cannot be set: {}", io::Error::last_os_error());
    Ok(())
}
