// SPDX-License-Identifier: GPL-2.0

//! What a policy may ask of CPUs, for placement.
//!
//! No lock is taken: what is said of a CPU may be over when it is used.
//!
//! C source: [`kernel/sched/bpf/cpus.c`](srctree/kernel/sched/bpf/cpus.c)

use super::Asked;
use kernel::{
    bindings,
    cpu::CpuId, //
};

impl Asked<'_> {
    /// Has `cpu` nothing to run, and nothing on its way to it?
    #[inline]
    pub fn is_idle(&self, cpu: CpuId) -> bool {
        // SAFETY: It may be called with any number.
        unsafe { bindings::bpf_sched_cpu_is_idle(cpu.as_u32()) > 0 }
    }

    /// How many tasks of the fair class want `cpu`, the running one included.
    #[inline]
    pub fn nr_runnable(&self, cpu: CpuId) -> u32 {
        // SAFETY: It may be called with any number.
        count(unsafe { bindings::bpf_sched_cpu_nr_runnable(cpu.as_u32()) })
    }

    /// How much `cpu` has for the fair class, of 1024, which is the fastest CPU with nothing else
    /// to do.
    #[inline]
    pub fn capacity(&self, cpu: CpuId) -> u32 {
        // SAFETY: It may be called with any number.
        count(unsafe { bindings::bpf_sched_cpu_capacity(cpu.as_u32()) })
    }

    /// The NUMA node that `cpu` is of.
    #[inline]
    pub fn node(&self, cpu: CpuId) -> u32 {
        // SAFETY: It may be called with any number.
        count(unsafe { bindings::bpf_sched_cpu_node(cpu.as_u32()) })
    }

    /// Do these CPUs share their last level cache?
    #[inline]
    pub fn share_cache(&self, cpu: CpuId, other: CpuId) -> bool {
        // SAFETY: It may be called with any numbers.
        unsafe { bindings::bpf_sched_cpus_share_cache(cpu.as_u32(), other.as_u32()) > 0 }
    }
}

/// What is negative only for a CPU that is not possible; a [`CpuId`] may be of such a one.
#[inline]
fn count(number: kernel::ffi::c_int) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
