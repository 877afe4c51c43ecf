// SPDX-License-Identifier: GPL-2.0

//! Scheduling entities, and the context in which hooks are called.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use core::ops::Deref;
use kernel::{
    bindings,
    interrupt::LocalInterruptDisabled,
    task::Task,
    time::Delta,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// A context token: a hook is being called with an rq lock held.
///
/// Code that sees a `&RqLocked` must not sleep, wake a task, or take an rq lock or a `pi_lock`.
/// Lockdep and `might_sleep()` find code that does; the compiler does not.
///
/// # Invariants
///
/// While a reference to a value of this type exists, this CPU holds the lock of the rq that the
/// hook is called for, with interrupts off.
pub struct RqLocked(NotThreadSafe);

impl RqLocked {
    /// Assume that a hook is being called with an rq lock held.
    ///
    /// # Safety
    ///
    /// For the whole life `'a`, this CPU must hold the lock of the rq that the hook is called for,
    /// with interrupts off.
    #[inline]
    pub(crate) unsafe fn assume_locked<'a>() -> &'a Self {
        const ASSUME_LOCKED: &RqLocked = &RqLocked(NotThreadSafe);

        // INVARIANT: By the safety requirements.
        ASSUME_LOCKED
    }

    /// Returns the entity of `task`.
    ///
    /// A hook may look at other tasks than its arguments, but their fields may change meanwhile
    /// unless they are on the same rq.
    #[inline]
    pub fn entity<'a>(&'a self, task: &'a Task) -> &'a Entity {
        // SAFETY: A `&Task` is valid for `'a`, and so is its member.
        let se = unsafe { &raw const (*task.as_ptr()).se };

        // SAFETY: `se` is valid for `'a`, and `self` proves the rest.
        unsafe { Entity::from_raw(se.cast_mut()) }
    }
}

impl Deref for RqLocked {
    type Target = LocalInterruptDisabled;

    #[inline]
    fn deref(&self) -> &LocalInterruptDisabled {
        // SAFETY: Interrupts are off by the type invariant.
        unsafe { LocalInterruptDisabled::assume_disabled() }
    }
}

/// A `struct sched_entity`, for the duration of a hook.
///
/// # Invariants
///
/// - Every instance is the entity of a task or of a group.
/// - While a reference to an instance exists, a hook is being called with an rq lock held.
#[repr(transparent)]
pub struct Entity(Opaque<bindings::sched_entity>, NotThreadSafe);

/// Reads a field of an entity once. An entity of another rq may be written to meanwhile.
macro_rules! read_once {
    ($self:ident.$field:ident) => {
        // SAFETY: The entity is valid by the type invariant. The read is volatile, which makes it
        // an access as by `READ_ONCE()`.
        unsafe { (&raw const (*$self.0.get()).$field).read_volatile() }
    };
}

impl Entity {
    /// Create a reference from a raw pointer.
    ///
    /// # Safety
    ///
    /// For the whole life `'a`, `ptr` must point to the entity of a task or of a group, and a hook
    /// must be in progress with an rq lock held by this CPU.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::sched_entity) -> &'a Self {
        // INVARIANT: By the safety requirements.
        // SAFETY: `ptr` is valid for `'a`; `Self` is a transparent wrapper of what it points to.
        unsafe { &*ptr.cast() }
    }

    /// Returns the task, or [`None`] for the entity of a group.
    ///
    /// All arguments of hooks are the entities of tasks.
    #[inline]
    pub fn task(&self) -> Option<&Task> {
        // SAFETY: The entity is valid by the type invariant.
        let task = unsafe { bindings::bpf_sched_entity_task(self.0.get()) };

        // SAFETY: A task contains its entity, so both are valid equally long. `Task` is a
        // transparent wrapper of `struct task_struct`.
        unsafe { task.cast::<Task>().as_ref() }
    }

    /// Returns true if the entity is queued or current, rather than about to be enqueued.
    #[inline]
    pub fn on_rq(&self) -> bool {
        read_once!(self.on_rq) != 0
    }

    /// Returns the slice.
    #[inline]
    pub fn slice(&self) -> Delta {
        nanos(read_once!(self.slice))
    }

    /// Returns the virtual deadline of the slice. Virtual times wrap: compare their difference to
    /// zero as an [`i64`].
    #[inline]
    pub fn deadline(&self) -> u64 {
        read_once!(self.deadline)
    }

    /// Returns the virtual runtime.
    #[inline]
    pub fn vruntime(&self) -> u64 {
        read_once!(self.vruntime)
    }

    /// Returns the lag in nanoseconds of virtual time, or [`None`] for an entity of another rq.
    #[inline]
    pub fn lag(&self) -> Option<i64> {
        // SAFETY: The entity is valid, and interrupts are off, by the type invariant.
        let lag = unsafe { bindings::bpf_sched_entity_lag(self.0.get()) };

        (lag != i64::MIN).then_some(lag)
    }

    /// Returns true if the entity is eligible, or [`None`] for an entity of another rq.
    #[inline]
    pub fn eligible(&self) -> Option<bool> {
        // SAFETY: The entity is valid, and interrupts are off, by the type invariant.
        let eligible = unsafe { bindings::bpf_sched_entity_eligible(self.0.get()) };

        (eligible >= 0).then_some(eligible > 0)
    }

    /// Returns the number of runnable fair tasks on the CPU of the entity, the current one
    /// included; 0 for an entity of another rq.
    #[inline]
    pub fn nr_runnable(&self) -> u32 {
        // SAFETY: The entity is valid, and interrupts are off, by the type invariant.
        unsafe { bindings::bpf_sched_entity_nr_runnable(self.0.get()) }
    }

    /// Returns the CPU time that the entity has had.
    #[inline]
    pub fn sum_exec_runtime(&self) -> Delta {
        nanos(read_once!(self.sum_exec_runtime))
    }
}

/// Converts nanoseconds of the scheduler, which do not reach 2^63.
#[inline]
pub(crate) fn nanos(ns: u64) -> Delta {
    Delta::from_nanos(ns as i64)
}
