// SPDX-License-Identifier: GPL-2.0

//! What a policy keeps of each CPU, so that CPUs do not wait for one another's caches.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use super::{
    error::code::ENOMEM,
    Asked,
    Process,
    Result, //
};
use core::{
    mem::{
        align_of,
        needs_drop,
        size_of, //
    },
    ptr::NonNull,
};
use kernel::{
    bindings,
    cpu::nr_cpu_ids,
    ffi::c_int,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// A `T` for each CPU.
///
/// `T` must not have to be dropped, and may have 16 KiB and an alignment of 64 bytes at the most:
/// others do not compile.
///
/// # Invariants
///
/// The pointer is one of `__alloc_percpu()` for a `T`, which is ours, and there is a valid `T` of
/// each possible CPU.
pub struct PerCpu<T: Default + Send + Sync + 'static>(NonNull<T>);

// SAFETY: It may be freed by another task than allocated it, and `T` is `Send`.
unsafe impl<T: Default + Send + Sync + 'static> Send for PerCpu<T> {}
// SAFETY: Each `T` can be had on all CPUs, and `T` is `Sync`.
unsafe impl<T: Default + Send + Sync + 'static> Sync for PerCpu<T> {}

impl<T: Default + Send + Sync + 'static> PerCpu<T> {
    const CHECKED: () = {
        assert!(!needs_drop::<T>(), "what is kept per CPU is not dropped");
        assert!(
            align_of::<T>() <= 64,
            "what is kept per CPU is aligned to 64 bytes"
        );
        assert!(
            size_of::<T>() > 0 && size_of::<T>() <= 16 << 10,
            "what is kept per CPU has 1 byte to 16 KiB"
        );
    };

    /// The default of `T` for each CPU.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(_cx: &Process<'_>) -> Result<Self> {
        let () = Self::CHECKED;

        // SAFETY: By the token this may sleep.
        let ptr = unsafe { bindings::__alloc_percpu(size_of::<T>(), align_of::<T>()) };
        let ptr = NonNull::new(ptr.cast::<T>()).ok_or(ENOMEM)?;

        for cpu in possible_cpus() {
            // SAFETY: The CPU is possible, so it has memory of the size and the alignment of a `T`.
            unsafe {
                bindings::per_cpu_ptr(ptr.as_ptr().cast(), cpu)
                    .cast::<T>()
                    .write(T::default())
            };
        }
        // INVARIANT: There is a `T` of each possible CPU.
        Ok(Self(ptr))
    }

    /// That of the CPU that the callback runs on, which need not be the one that it is about.
    #[inline]
    pub fn get(&self, _cx: &Asked<'_>) -> &T {
        // SAFETY: A CPU that runs is possible, so there is a `T` by the type invariant. The code
        // stays on it, as interrupts are off; and if not, it still is one that may be shared.
        unsafe { &*bindings::this_cpu_ptr(self.0.as_ptr().cast()).cast::<T>() }
    }

    /// Those of all possible CPUs, by the number of the CPU.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        possible_cpus().map(|cpu| {
            // SAFETY: The CPU is possible, so there is a `T` by the type invariant.
            unsafe { &*bindings::per_cpu_ptr(self.0.as_ptr().cast(), cpu).cast::<T>() }
        })
    }
}

impl<T: Default + Send + Sync + 'static> Drop for PerCpu<T> {
    fn drop(&mut self) {
        // SAFETY: It is ours by the type invariant.
        unsafe { bindings::free_percpu(self.0.as_ptr().cast()) };
    }
}

fn possible_cpus() -> impl Iterator<Item = c_int> {
    (0..nr_cpu_ids() as c_int).filter(|&cpu| {
        // SAFETY: The mask does not change after boot, and has a bit for each CPU id.
        unsafe {
            bindings::cpumask_test_cpu(cpu, (&raw const bindings::__cpu_possible_mask).cast_mut())
        }
    })
}

/// One count per CPU.
struct Count(Atomic<u64>);

impl Default for Count {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

/// A counter of what happens in callbacks, which costs little there.
pub struct Counter(PerCpu<Count>);

impl Counter {
    /// A counter that is zero.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(cx: &Process<'_>) -> Result<Self> {
        Ok(Self(PerCpu::new(cx)?))
    }

    /// Counts `n` more. It wraps around.
    #[inline]
    pub fn add(&self, cx: &Asked<'_>, n: u64) {
        let count = &self.0.get(cx).0;

        // Nobody else writes to that of this CPU, whose interrupts are off.
        count.store(count.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// What all CPUs have counted. What they count meanwhile may or may not be in it.
    pub fn sum(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.wrapping_add(count.0.load(Relaxed)))
    }
}
