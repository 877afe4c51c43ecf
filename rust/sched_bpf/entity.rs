// SPDX-License-Identifier: GPL-2.0

//! What a policy sees of the tasks and entities that it is asked about.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use super::{
    Cgroup,
    Instant,
    Nanos,
    RqLocked,
    VirtualDelta,
    VirtualTime,
    Weight, //
};
use core::{
    marker::PhantomData,
    ptr::{
        addr_of_mut,
        NonNull, //
    },
};
use kernel::{
    bindings,
    cpu::CpuId,
    ffi::c_int, //
};

/// How a task of the fair class is scheduled, see sched(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedPolicy {
    /// `SCHED_NORMAL`, which user space calls `SCHED_OTHER`.
    Normal,
    /// `SCHED_BATCH`: never preempts at a wakeup.
    Batch,
    /// `SCHED_IDLE`: gives way to all others.
    Idle,
    /// `SCHED_EXT`: as [`Normal`](Self::Normal) while no sched_ext scheduler is loaded. While one
    /// is, it has these tasks, and a policy is not asked about them.
    Ext,
    /// One of another class, such as `SCHED_FIFO`. A policy is not asked about such a task.
    Other,
}

/// What is known of a wakeup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeFlags(u64);

impl WakeFlags {
    /// Flags of the kernel, of which those without a method here are nobody's business.
    #[inline]
    pub(crate) const fn new(flags: u64) -> Self {
        Self(flags)
    }

    #[inline]
    const fn has(self, flag: bindings::bpf_sched_wake_flags) -> bool {
        self.0 & flag as u64 != 0
    }

    /// Is it the first wakeup of a new task?
    #[inline]
    pub const fn is_fork(self) -> bool {
        self.has(bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_FORK)
    }

    /// Does the waker say that it is about to sleep?
    #[inline]
    pub const fn is_sync(self) -> bool {
        self.has(bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_SYNC)
    }

    /// Did the wakee run on another CPU before?
    #[inline]
    pub const fn is_migrated(self) -> bool {
        self.has(bindings::bpf_sched_wake_flags_BPF_SCHED_WAKE_MIGRATED)
    }
}

/// A task that a policy is asked about, for as long as it is asked.
///
/// # Invariants
///
/// The pointer is valid for `'a`. For `'a` this CPU holds the lock of the task's rq or, while it is
/// on no rq or `current`, its `pi_lock`, inside an RCU read-side section. Who changes what is
/// said here to be changed under the lock of the rq has both, or is the task itself.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    ptr: NonNull<bindings::task_struct>,
    _life: PhantomData<&'a ()>,
}

impl<'a> Task<'a> {
    /// # Safety
    ///
    /// For all of `'a` `ptr` must point to a task, this CPU must hold the lock of its rq or, while
    /// it is on no rq or `current`, its `pi_lock`, and an RCU read-side section must last.
    #[inline]
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::task_struct) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: The pointer is valid, so it is not null.
            ptr: unsafe { NonNull::new_unchecked(ptr) },
            _life: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn as_ptr(self) -> *mut bindings::task_struct {
        self.ptr.as_ptr()
    }

    /// The id of the thread in the initial pid namespace.
    #[inline]
    pub fn pid(self) -> i32 {
        // SAFETY: Valid by the type invariant, and a pid changes before a task is first queued
        // or by `de_thread()`, which is a store of a whole int.
        unsafe { addr_of_mut!((*self.ptr.as_ptr()).pid).read_volatile() }
    }

    /// The id of the process in the initial pid namespace.
    #[inline]
    pub fn tgid(self) -> i32 {
        // SAFETY: Valid by the type invariant, and only stored as a whole int.
        unsafe { addr_of_mut!((*self.ptr.as_ptr()).tgid).read_volatile() }
    }

    /// The name of the thread, which ends at the first zero. It may be half of one name and half
    /// of another if it is being changed.
    #[inline]
    pub fn comm(self) -> [u8; bindings::TASK_COMM_LEN as usize] {
        let mut comm = [0; bindings::TASK_COMM_LEN as usize];
        // SAFETY: Valid by the type invariant; an array of bytes in C and here.
        let from = unsafe { addr_of_mut!((*self.ptr.as_ptr()).comm) }.cast::<u8>();

        for (i, byte) in comm.iter_mut().enumerate() {
            // SAFETY: `i` is less than the length of both arrays. Bytes do not tear.
            *byte = unsafe { from.add(i).read_volatile() };
        }
        comm
    }

    /// Its nice value, from -20, which gets the most, to 19.
    #[inline]
    pub fn nice(self) -> i32 {
        // SAFETY: Valid by the type invariant; only changed under the lock of the rq.
        unsafe { bindings::task_nice(self.ptr.as_ptr()) }
    }

    /// Its scheduling policy.
    #[inline]
    pub fn sched_policy(self) -> SchedPolicy {
        // SAFETY: Valid by the type invariant; only changed under the lock of the rq.
        match unsafe { (*self.ptr.as_ptr()).policy } {
            bindings::SCHED_NORMAL => SchedPolicy::Normal,
            bindings::SCHED_BATCH => SchedPolicy::Batch,
            bindings::SCHED_IDLE => SchedPolicy::Idle,
            bindings::SCHED_EXT => SchedPolicy::Ext,
            _ => SchedPolicy::Other,
        }
    }

    /// The CPU that it runs on, is queued on or is about to be queued on.
    #[inline]
    pub fn cpu(self) -> CpuId {
        // SAFETY: Valid by the type invariant.
        let cpu = unsafe { bindings::task_cpu(self.ptr.as_ptr()) };

        // SAFETY: The CPU of a task is below `nr_cpu_ids`.
        unsafe { CpuId::from_u32_unchecked(cpu) }
    }

    /// May it run on this CPU?
    #[inline]
    pub fn may_run_on(self, cpu: CpuId) -> bool {
        // SAFETY: Valid by the type invariant; `cpus_ptr` is only changed under the lock of the
        // rq, and has a bit for each CPU id.
        unsafe {
            let allowed = (*self.ptr.as_ptr()).cpus_ptr.cast_mut();

            bindings::cpumask_test_cpu(cpu.as_u32() as c_int, allowed)
        }
    }

    /// On how many CPUs it may run.
    #[inline]
    pub fn nr_cpus_allowed(self) -> u32 {
        // SAFETY: Valid by the type invariant; only changed under the lock of the rq, and
        // at least 1.
        unsafe { (*self.ptr.as_ptr()).nr_cpus_allowed as u32 }
    }

    /// How often it has slept, or waited otherwise, since it exists.
    #[inline]
    pub fn nr_sleeps(self) -> usize {
        // SAFETY: Valid by the type invariant; only changed under the lock of the rq.
        unsafe { (*self.ptr.as_ptr()).nvcsw }
    }

    /// When it began, as monotonic time. With the pid it names a task, as no later task of that
    /// pid has the same.
    #[inline]
    pub fn start_time(self) -> Instant {
        // SAFETY: Valid by the type invariant. It changes before a task is first queued or by
        // `de_thread()`, which gives the thread that stays the pid and the time of the leader.
        Instant::new(unsafe { addr_of_mut!((*self.ptr.as_ptr()).start_time).read_volatile() })
    }

    /// Is it in `cgroup` or below it?
    #[inline]
    pub fn is_in(self, cgroup: &Cgroup) -> bool {
        // SAFETY: Valid, and in an RCU read-side section, by the type invariant.
        unsafe {
            let se = addr_of_mut!((*self.ptr.as_ptr()).se);

            bindings::bpf_sched_entity_belongs_to_cgrp(se, cgroup.id()) != 0
        }
    }

    /// Its entity, which changes with the lock of the rq held only.
    #[inline]
    pub fn entity(self, _cx: &RqLocked<'_>) -> Entity<'a> {
        // SAFETY: Valid by the type invariant. The lock of the rq is held, as the token says: a
        // question has one lock, and its tasks are on one rq.
        unsafe { Entity::from_raw(addr_of_mut!((*self.ptr.as_ptr()).se)) }
    }
}

/// An entity that a policy is asked about, for as long as it is asked. With EEVDF on one queue a
/// CPU, as now, those that compete are entities of tasks.
///
/// # Invariants
///
/// The pointer is valid for `'a`. For `'a` the lock of the entity's rq is held by this CPU, inside
/// an RCU read-side section.
#[derive(Clone, Copy)]
pub struct Entity<'a> {
    ptr: NonNull<bindings::sched_entity>,
    _life: PhantomData<&'a ()>,
}

/// A field of the entity. Such are only changed under the lock of the rq, which is held by the
/// type invariant.
macro_rules! field {
    ($self:ident, $($field:tt)+) => {
        // SAFETY: Valid by the type invariant, and nobody writes to it.
        unsafe { (*$self.ptr.as_ptr()).$($field)+ }
    };
}

impl<'a> Entity<'a> {
    /// # Safety
    ///
    /// For all of `'a` `ptr` must point to an entity, the lock of its rq must be held by this CPU,
    /// and an RCU read-side section must last.
    #[inline]
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::sched_entity) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: The pointer is valid, so it is not null.
            ptr: unsafe { NonNull::new_unchecked(ptr) },
            _life: PhantomData,
        }
    }

    /// Its task, or [`None`] if it is the entity of a group.
    #[inline]
    pub fn task(self) -> Option<Task<'a>> {
        // SAFETY: Valid by the type invariant.
        let task = unsafe { bindings::bpf_sched_entity_task(self.ptr.as_ptr()) };

        // SAFETY: It is the task that contains the entity, on the same rq.
        (!task.is_null()).then(|| unsafe { Task::from_raw(task) })
    }

    /// The size of its request.
    #[inline]
    pub fn slice(self) -> Nanos {
        Nanos::new(field!(self, slice))
    }

    /// The virtual deadline of its request.
    #[inline]
    pub fn deadline(self) -> VirtualTime {
        VirtualTime::new(field!(self, deadline))
    }

    /// How far it has run, in virtual time.
    #[inline]
    pub fn vruntime(self) -> VirtualTime {
        VirtualTime::new(field!(self, vruntime))
    }

    /// The service that it is owed: negative if it got more than its share since it was queued.
    /// It means nothing where it is not queued, as it may be for [`Policy::slice`].
    ///
    /// [`Policy::slice`]: super::Policy::slice
    #[inline]
    pub fn lag(self, _cx: &RqLocked<'_>) -> VirtualDelta {
        // SAFETY: Valid, and its rq is locked, by the type invariant.
        VirtualDelta::new(unsafe { bindings::bpf_sched_entity_lag(self.ptr.as_ptr()) })
    }

    /// May it be picked, as its lag is not negative? A wakee preempts only if so.
    ///
    /// In C this can fail, for an entity whose rq is not locked; a view is never of such a one.
    #[inline]
    pub fn eligible(self, _cx: &RqLocked<'_>) -> bool {
        // SAFETY: Valid, and its rq is locked, by the type invariant.
        unsafe { bindings::bpf_sched_entity_eligible(self.ptr.as_ptr()) > 0 }
    }

    /// How many tasks of the fair class want its CPU, the running one included.
    #[inline]
    pub fn nr_runnable(self, _cx: &RqLocked<'_>) -> u32 {
        // SAFETY: Valid, and its rq is locked, by the type invariant.
        unsafe { bindings::bpf_sched_entity_nr_runnable(self.ptr.as_ptr()) }
    }

    /// Its weight among all that compete for the CPU, from its nice value and the weights of its
    /// cgroups.
    #[inline]
    pub fn weight(self) -> Weight {
        Weight::new(field!(self, h_load.weight))
    }

    /// How long it has run since it exists.
    #[inline]
    pub fn exec_time(self) -> Nanos {
        Nanos::new(field!(self, sum_exec_runtime))
    }

    /// How long it has run since it was last picked.
    #[inline]
    pub fn exec_time_since_pick(self) -> Nanos {
        self.exec_time() - Nanos::new(field!(self, prev_sum_exec_runtime))
    }

    /// Is it in `cgroup` or below it?
    #[inline]
    pub fn is_in(self, cgroup: &Cgroup) -> bool {
        self.is_in_id(cgroup.id())
    }

    /// Is it in the cgroup with this id or below it?
    #[inline]
    pub fn is_in_id(self, cgroup_id: u64) -> bool {
        // SAFETY: Valid, and in an RCU read-side section, by the type invariant.
        unsafe { bindings::bpf_sched_entity_belongs_to_cgrp(self.ptr.as_ptr(), cgroup_id) != 0 }
    }
}
