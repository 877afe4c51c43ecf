// SPDX-License-Identifier: GPL-2.0

//! From a [`Policy`] to a `struct bpf_sched_ops`.
//!
//! C header: [`include/linux/bpf_sched.h`](srctree/include/linux/bpf_sched.h)

use super::{
    entity::nanos,
    Entity,
    RqLocked, //
};
use core::marker::PhantomData;
use kernel::{
    bindings,
    cpu::CpuId,
    error::VTABLE_DEFAULT_ERROR,
    ffi::{
        c_char,
        c_int,
        c_ulong, //
    },
    impl_flags,
    interrupt::LocalInterruptDisabled,
    prelude::*,
    task::Task,
    time::Delta, //
};

/// The functions of a policy, each of which is a hook of `struct bpf_sched_ops`.
///
/// A hook that is not implemented leaves its member NULL, which costs nothing. The hooks are called
/// on several CPUs at the same time, with interrupts off and a raw spinlock held. They must be
/// short and must not sleep.
///
/// A policy has no instance. Its state is in statics, in module parameters and in
/// [`TaskStorage`](super::TaskStorage).
///
/// The arguments are valid for the call only. What a return value does, and when it is rejected, is
/// described for each member of `struct bpf_sched_ops`.
#[vtable]
pub trait Policy: 'static {
    /// The name that is shown with the counters: 1 to 15 characters of `[A-Za-z0-9_.]`.
    const NAME: &'static CStr;

    /// Decides whether `wakee` preempts `curr`, the task picked on its CPU.
    fn check_preempt_wakeup(
        _cx: &RqLocked,
        _curr: &Task,
        _wakee: &Task,
        _flags: WakeFlags,
    ) -> Wakeup {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Decides the same from the entities, if
    /// [`check_preempt_wakeup`](Self::check_preempt_wakeup) returned [`Wakeup::Pass`].
    fn wakeup_preempt_entity(_cx: &RqLocked, _curr: &Entity, _wakee: &Entity) -> Wakeup {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns the next slice of `se`, [`None`] for `default`. The kernel clamps it.
    fn slice(_cx: &RqLocked, _se: &Entity, _default: Delta) -> Option<Delta> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Decides at a tick whether the slice of `curr` is extended or ends. `ran` is the time since
    /// it was picked.
    fn check_preempt_tick(_cx: &RqLocked, _curr: &Entity, _ran: Delta) -> Tick {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Returns the CPU on which `task` is enqueued, [`None`] for `default`. It was on `prev`
    /// before. Only the `pi_lock` of `task` is held.
    fn select_cpu(
        _cx: &LocalInterruptDisabled,
        _task: &Task,
        _prev: CpuId,
        _flags: WakeFlags,
        _default: CpuId,
    ) -> Option<CpuId> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Decides whether the load balancer may migrate `task` from `src` to `dst`. `hot` is its
    /// opinion that the task is cache-hot.
    fn can_migrate(_cx: &RqLocked, _task: &Task, _src: CpuId, _dst: CpuId, _hot: bool) -> Migrate {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// What a wakee does to the current task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Wakeup {
    /// The default decision.
    Pass = bindings::bpf_sched_result_BPF_SCHED_PASS,
    /// It does not preempt, as a `SCHED_BATCH` wakee.
    NoPreempt = bindings::bpf_sched_result_BPF_SCHED_NO_PREEMPT,
    /// It preempts, as a wakee with a shorter slice.
    Preempt = bindings::bpf_sched_result_BPF_SCHED_PREEMPT,
    /// It preempts at once, not lazily.
    PreemptNow = bindings::bpf_sched_result_BPF_SCHED_PREEMPT_NOW,
}

/// What a tick does to the slice of the current task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Tick {
    /// The default decision.
    Pass = bindings::bpf_sched_result_BPF_SCHED_PASS,
    /// The slice and its protection last until the next tick.
    Extend = bindings::bpf_sched_result_BPF_SCHED_EXTEND,
    /// The slice ends.
    End = bindings::bpf_sched_result_BPF_SCHED_END,
}

/// What the load balancer does with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Migrate {
    /// The default decision.
    Pass = bindings::bpf_sched_result_BPF_SCHED_PASS,
    /// The task stays, as if it were cache-hot.
    Stay = bindings::bpf_sched_result_BPF_SCHED_STAY,
    /// The task may be migrated, as if it were not cache-hot.
    Migrate = bindings::bpf_sched_result_BPF_SCHED_MIGRATE,
}

impl_flags!(
    /// Flags of a wakeup.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct WakeFlags(u32);

    /// A flag of a wakeup.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum WakeFlag {
        /// The first wakeup of a new task.
        Fork = bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_FORK,
        /// The wakeup of a task that slept.
        Ttwu = bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_TTWU,
        /// The waker is about to sleep.
        Sync = bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_SYNC,
        /// The task was on another CPU before.
        Migrated = bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_MIGRATED,
    }
);

/// Converts the result of [`Policy::slice`]. In C 0 is no result and there is nothing below it.
#[inline]
fn slice_to_c(slice: Option<Delta>) -> c_int {
    slice.map_or(bindings::bpf_sched_result_BPF_SCHED_PASS, |slice| {
        slice.as_nanos().clamp(1, c_int::MAX.into()) as c_int
    })
}

/// Converts the result of [`Policy::select_cpu`]. In C 0 is no result.
#[inline]
fn cpu_to_c(cpu: Option<CpuId>) -> c_int {
    cpu.map_or(bindings::bpf_sched_result_BPF_SCHED_PASS, |cpu| {
        // There are fewer CPUs than `c_int::MAX`.
        bindings::bpf_sched_result_BPF_SCHED_CPU_0.wrapping_add(cpu.as_u32() as c_int)
    })
}

/// Checks a name when the policy is compiled, and makes a C array of it.
const fn name(name: &CStr) -> [c_char; bindings::BPF_SCHED_NAME_LEN as usize] {
    let bytes = name.to_bytes();
    let mut array = [0; bindings::BPF_SCHED_NAME_LEN as usize];
    let mut i = 0;

    assert!(!bytes.is_empty(), "the name of a policy is empty");
    assert!(
        bytes.len() < array.len(),
        "the name of a policy is too long"
    );
    while i < bytes.len() {
        assert!(
            bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_' || bytes[i] == b'.',
            "the name of a policy has a character other than A-Z, a-z, 0-9, _ and ."
        );
        array[i] = bytes[i] as c_char;
        i += 1;
    }
    array
}

/// The `struct bpf_sched_ops` of a policy.
///
/// Each callback has a safety section that says when C calls it. Common to all: interrupts are off,
/// the numbers of CPUs are below `nr_cpu_ids`, and a valid task or entity is one of a task whose
/// refcount is not zero.
pub(crate) struct Ops<T: Policy>(PhantomData<T>);

impl<T: Policy> Ops<T> {
    pub(crate) const OPS: bindings::bpf_sched_ops = bindings::bpf_sched_ops {
        cfs_check_preempt_wakeup: if T::HAS_CHECK_PREEMPT_WAKEUP {
            Some(Self::check_preempt_wakeup)
        } else {
            None
        },
        cfs_wakeup_preempt_entity: if T::HAS_WAKEUP_PREEMPT_ENTITY {
            Some(Self::wakeup_preempt_entity)
        } else {
            None
        },
        cfs_slice: if T::HAS_SLICE {
            Some(Self::slice)
        } else {
            None
        },
        cfs_check_preempt_tick: if T::HAS_CHECK_PREEMPT_TICK {
            Some(Self::check_preempt_tick)
        } else {
            None
        },
        cfs_select_cpu: if T::HAS_SELECT_CPU {
            Some(Self::select_cpu)
        } else {
            None
        },
        cfs_can_migrate: if T::HAS_CAN_MIGRATE {
            Some(Self::can_migrate)
        } else {
            None
        },
        name: name(T::NAME),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `curr` and `p` must be valid, and their rq be locked, until this returns.
    unsafe extern "C" fn check_preempt_wakeup(
        curr: *mut bindings::task_struct,
        p: *mut bindings::task_struct,
        wake_flags: u64,
        _cgrp: *mut bindings::cgroup,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (cx, curr, p) = unsafe { (RqLocked::assume_locked(), task(curr), task(p)) };

        T::check_preempt_wakeup(cx, curr, p, WakeFlags(wake_flags as u32)) as c_int
    }

    /// # Safety
    ///
    /// `curr` and `se` must be valid, and their rq be locked, until this returns.
    unsafe extern "C" fn wakeup_preempt_entity(
        curr: *mut bindings::sched_entity,
        se: *mut bindings::sched_entity,
        _cgrp: *mut bindings::cgroup,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (cx, curr, se) = unsafe {
            (
                RqLocked::assume_locked(),
                Entity::from_raw(curr),
                Entity::from_raw(se),
            )
        };

        T::wakeup_preempt_entity(cx, curr, se) as c_int
    }

    /// # Safety
    ///
    /// `se` must be valid, and the rq that it is on or about to be enqueued on be locked, until
    /// this returns.
    unsafe extern "C" fn slice(
        se: *mut bindings::sched_entity,
        slice: u64,
        _cgrp: *mut bindings::cgroup,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (cx, se) = unsafe { (RqLocked::assume_locked(), Entity::from_raw(se)) };

        slice_to_c(T::slice(cx, se, nanos(slice)))
    }

    /// # Safety
    ///
    /// `curr` must be valid, and its rq be locked, until this returns.
    unsafe extern "C" fn check_preempt_tick(
        curr: *mut bindings::sched_entity,
        delta_exec: c_ulong,
        _cgrp: *mut bindings::cgroup,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (cx, curr) = unsafe { (RqLocked::assume_locked(), Entity::from_raw(curr)) };

        T::check_preempt_tick(cx, curr, nanos(delta_exec as u64)) as c_int
    }

    /// # Safety
    ///
    /// `p` must be valid, and its `pi_lock` be held, until this returns.
    unsafe extern "C" fn select_cpu(
        p: *mut bindings::task_struct,
        prev_cpu: u64,
        wake_flags: u64,
        stock_cpu: u64,
        _cgrp: *mut bindings::cgroup,
    ) -> c_int {
        // SAFETY: By the safety requirements. A `pi_lock` is held with interrupts off.
        let (cx, p, prev, stock) = unsafe {
            (
                LocalInterruptDisabled::assume_disabled(),
                task(p),
                CpuId::from_u32_unchecked(prev_cpu as u32),
                CpuId::from_u32_unchecked(stock_cpu as u32),
            )
        };

        cpu_to_c(T::select_cpu(
            cx,
            p,
            prev,
            WakeFlags(wake_flags as u32),
            stock,
        ))
    }

    /// # Safety
    ///
    /// `p` must be valid, and its rq be locked, until this returns.
    unsafe extern "C" fn can_migrate(
        p: *mut bindings::task_struct,
        src_cpu: u64,
        dst_cpu: u64,
        hot: u64,
        _cgrp: *mut bindings::cgroup,
    ) -> c_int {
        // SAFETY: By the safety requirements.
        let (cx, p, src, dst) = unsafe {
            (
                RqLocked::assume_locked(),
                task(p),
                CpuId::from_u32_unchecked(src_cpu as u32),
                CpuId::from_u32_unchecked(dst_cpu as u32),
            )
        };

        T::can_migrate(cx, p, src, dst, hot != 0) as c_int
    }
}

/// Create a reference to a task from a raw pointer.
///
/// # Safety
///
/// For the whole life `'a`, `ptr` must point to a task whose refcount is not zero.
#[inline]
unsafe fn task<'a>(ptr: *mut bindings::task_struct) -> &'a Task {
    // SAFETY: `ptr` is valid for `'a`; `Task` is a transparent wrapper of `struct task_struct`.
    unsafe { &*ptr.cast() }
}
