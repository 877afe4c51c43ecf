// SPDX-License-Identifier: GPL-2.0

//! The state of CPUs, for [`Policy::select_cpu`](super::Policy::select_cpu).
//!
//! No lock is taken, so a result may be outdated when it is used.
//!
//! C source: [`kernel/sched/bpf/kfuncs.c`](srctree/kernel/sched/bpf/kfuncs.c)

use kernel::{
    bindings,
    cpu::CpuId, //
};

/// Returns true if `cpu` is idle and no wakeup is on its way to it.
#[inline]
pub fn is_idle(cpu: CpuId) -> bool {
    // SAFETY: It may be called with any number.
    unsafe { bindings::bpf_sched_cpu_is_idle(cpu.as_u32()) > 0 }
}

/// Returns the number of runnable fair tasks on `cpu`, the current one included.
#[inline]
pub fn nr_runnable(cpu: CpuId) -> u32 {
    // SAFETY: It may be called with any number.
    count(unsafe { bindings::bpf_sched_cpu_nr_runnable(cpu.as_u32()) })
}

/// Returns the capacity that `cpu` has for fair tasks. The largest is 1024.
#[inline]
pub fn capacity(cpu: CpuId) -> u32 {
    // SAFETY: It may be called with any number.
    count(unsafe { bindings::bpf_sched_cpu_capacity(cpu.as_u32()) })
}

/// Returns the NUMA node of `cpu`.
#[inline]
pub fn node(cpu: CpuId) -> u32 {
    // SAFETY: It may be called with any number.
    count(unsafe { bindings::bpf_sched_cpu_node(cpu.as_u32()) })
}

/// Returns true if the two CPUs share their last-level cache.
#[inline]
pub fn share_cache(cpu: CpuId, other: CpuId) -> bool {
    // SAFETY: It may be called with any numbers.
    unsafe { bindings::bpf_sched_cpus_share_cache(cpu.as_u32(), other.as_u32()) > 0 }
}

/// Converts a result, which is negative for a CPU that is not possible: a [`CpuId`] may be.
#[inline]
fn count(result: kernel::ffi::c_int) -> u32 {
    result.max(0) as u32
}
