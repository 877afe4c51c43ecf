// SPDX-License-Identifier: GPL-2.0

//! From a [`Policy`] to a `struct bpf_sched_ops`.
//!
//! C header: [`include/linux/bpf_sched.h`](srctree/include/linux/bpf_sched.h)

use super::{
    verdict::{
        cpu_to_c,
        slice_to_c, //
    },
    Entity,
    Error,
    Flags,
    Migrate,
    Nanos,
    PiLocked,
    Process,
    Result,
    RqLocked,
    Stats,
    Task,
    Tick,
    WakeFlags,
    Wakeup, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ptr::{
        self,
        addr_of,
        addr_of_mut, //
    }, //
};
use kernel::{
    bindings,
    container_of,
    cpu::CpuId,
    error::VTABLE_DEFAULT_ERROR,
    ffi::{
        c_char,
        c_int,
        c_ulong, //
    },
    init::InPlaceInit,
    prelude::{
        build_error,
        pin_data,
        vtable,
        KVBox,
        Pin,
        GFP_KERNEL, //
    },
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};
use pin_init::{
    pin_init,
    PinInit, //
};

/// A policy: what it answers at the decision points of the fair class.
///
/// Each method is a hook of [`include/linux/bpf_sched_hooks.h`], where its question is described.
/// One that is not implemented costs nothing: its place in the table stays empty, so that the
/// hook is a nop if no other policy answers it.
///
/// Methods run with a lock held, mostly that of an rq, and interrupts off, on several CPUs at a
/// time. Keep them short, and let them end: unlike that of a BPF program, their run time has no
/// limit. A panic here stops the machine, so prefer `get()` to an index and `checked_add()` to a
/// sum.
///
/// A policy is shared by all CPUs. What it learns it keeps in atomics, for example in a
/// [`TaskStorage`](super::TaskStorage).
///
/// [`include/linux/bpf_sched_hooks.h`]: srctree/include/linux/bpf_sched_hooks.h
#[vtable]
pub trait Policy: Send + Sync + 'static {
    /// Shown with the counters: up to 15 characters of `[A-Za-z0-9_.]`.
    const NAME: &'static CStr;

    /// May `wakee` preempt `curr`, the task picked on its CPU?
    fn check_preempt_wakeup(
        &self,
        _cx: &RqLocked<'_>,
        _curr: Task<'_>,
        _wakee: Task<'_>,
        _flags: WakeFlags,
    ) -> Wakeup {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// May `wakee` preempt `curr`? Asked at the same place about their entities, if no policy has
    /// an opinion on [`check_preempt_wakeup`](Self::check_preempt_wakeup).
    fn wakeup_preempt_entity(
        &self,
        _cx: &RqLocked<'_>,
        _curr: Entity<'_>,
        _wakee: Entity<'_>,
        _flags: WakeFlags,
    ) -> Wakeup {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Should the request of `curr` go on or end, while another task waits? It has run for `ran`
    /// since it was picked.
    fn check_preempt_tick(&self, _cx: &RqLocked<'_>, _curr: Entity<'_>, _ran: Nanos) -> Tick {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// How long is the next request of `se`, which is `stock` if nobody has an opinion? A short
    /// one is served soon, a long one is not interrupted for long; the share of the CPU stays what
    /// it is. It is clamped to 0.1 ms and `max_slice_ns`. Not asked for a task that has a slice of
    /// its own.
    ///
    /// `se` may not be queued yet; it is about to be then.
    fn slice(&self, _cx: &RqLocked<'_>, _se: Entity<'_>, _stock: Nanos) -> Option<Nanos> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// On which CPU is `p` to be queued, as it wakes up, is new or calls `execve()`? Without an
    /// opinion it is `stock`; it was on `prev` before. A CPU that it may not run on, or that is not
    /// active or isolated, is overruled. The balancer may move it later.
    fn select_cpu(
        &self,
        _cx: &PiLocked<'_>,
        _p: Task<'_>,
        _prev: CpuId,
        _flags: WakeFlags,
        _stock: CpuId,
    ) -> Option<CpuId> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Is it worth moving `p`, which waits, to `dst`, as the balancer would? It does not without
    /// an opinion if `hot`: `p` ran recently, or its memory is nearer to where it is.
    fn can_migrate(&self, _cx: &RqLocked<'_>, _p: Task<'_>, _dst: CpuId, _hot: bool) -> Migrate {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// No hook: writes what the policy counts itself, when somebody reads that in debugfs.
    ///
    /// It is run in process context, while the policies of the system are locked.
    fn stats(&self, _stats: &mut Stats<'_>) {}
}

/// Checks a name while the policy is compiled and makes a C array of it.
const fn checked_name(name: &CStr) -> [c_char; bindings::BPF_SCHED_NAME_LEN as usize] {
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

/// What any policy begins with.
///
/// # Invariants
///
/// `registration` is null before a registration knows of the table. It is valid while a callback
/// runs.
#[repr(C)]
pub(crate) struct Head {
    ops: Opaque<bindings::bpf_sched_ops>,
    registration: Atomic<*mut bindings::bpf_sched_registration>,
    /// To be called with the `Head` that this is of.
    stats: unsafe fn(*const Head, &mut Stats<'_>),
}

impl Head {
    /// The beginning of the table with these callbacks.
    ///
    /// # Safety
    ///
    /// `policy` must be valid and of a policy of this crate.
    #[inline]
    unsafe fn of(policy: *const bindings::bpf_sched_policy) -> *const Head {
        // SAFETY: By the safety requirement its table is the `ops` of a `Head`.
        unsafe {
            let ops = (*policy).ops.cast::<Opaque<bindings::bpf_sched_ops>>();

            container_of!(ops.cast_mut(), Head, ops)
        }
    }

    /// Has the policy work in process context.
    ///
    /// # Safety
    ///
    /// `policy` must be what a callback got that is running, or its table must have no
    /// registration.
    #[inline]
    pub(crate) unsafe fn schedule_work(policy: *const bindings::bpf_sched_policy) {
        // SAFETY: A table is valid while a callback of it runs.
        let registration = unsafe { (*Self::of(policy)).registration.load(Relaxed) };

        if !registration.is_null() {
            // SAFETY: It is valid, by the type invariant.
            unsafe { bindings::bpf_sched_schedule_work(registration) };
        }
    }

    /// # Safety
    ///
    /// To be called as [`bindings::bpf_sched_registration::show`] only.
    pub(crate) unsafe extern "C" fn show(
        file: *mut bindings::seq_file,
        policy: *const bindings::bpf_sched_policy,
    ) {
        // SAFETY: The policy is locked meanwhile, so that its table, which is one of this crate as
        // the registration is, stays; `stats` is that of this `Head`.
        unsafe {
            let head = Self::of(policy);

            ((*head).stats)(head, &mut Stats::from_raw(file, policy))
        }
    }
}

/// A policy with its table.
///
/// # Invariants
///
/// `head.ops` is the table of the callbacks of `T`, and so is `head.stats` for `T`, so that the
/// `this->ops` that callbacks get points to that of a `Table<T>`.
#[pin_data]
#[repr(C)]
struct Table<T: Policy> {
    head: Head,
    #[pin]
    policy: T,
    #[pin]
    _pin: PhantomPinned,
}

impl<T: Policy> Table<T> {
    const NAME: [c_char; bindings::BPF_SCHED_NAME_LEN as usize] = checked_name(T::NAME);

    fn new<E>(flags: Flags, policy: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: These are the callbacks of `T`.
        pin_init!(Self {
            head: Head {
                ops: Opaque::new(bindings::bpf_sched_ops {
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
                    cfs_check_preempt_tick: if T::HAS_CHECK_PREEMPT_TICK {
                        Some(Self::check_preempt_tick)
                    } else {
                        None
                    },
                    cfs_slice: if T::HAS_SLICE {
                        Some(Self::slice)
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
                    flags: flags.into(),
                    name: Self::NAME,
                }),
                registration: Atomic::new(ptr::null_mut()),
                stats: Self::stats,
            },
            policy <- policy,
            _pin: PhantomPinned,
        }? Error)
    }

    /// The policy that is asked.
    ///
    /// # Safety
    ///
    /// `this` must be what a callback of `T` got, and the result must not be used after it.
    #[inline]
    unsafe fn policy<'a>(this: *const bindings::bpf_sched_policy) -> &'a T {
        // SAFETY: `this` is valid while the callback runs, and its table is that of a `Table<T>`
        // by the type invariant. That lives until no CPU is inside its callbacks any more, see
        // `Registration`.
        unsafe { &*addr_of!((*Head::of(this).cast::<Self>()).policy) }
    }

    /// # Safety
    ///
    /// `head` must be that of a `Table<T>` that is valid.
    unsafe fn stats(head: *const Head, stats: &mut Stats<'_>) {
        // SAFETY: By the safety requirement, as a table begins with its head.
        unsafe { &*addr_of!((*head.cast::<Self>()).policy) }.stats(stats);
    }

    /// # Safety
    ///
    /// To be called as [`bindings::bpf_sched_ops::cfs_check_preempt_wakeup`] only.
    unsafe extern "C" fn check_preempt_wakeup(
        curr: *mut bindings::task_struct,
        p: *mut bindings::task_struct,
        wake_flags: u64,
        this: *const bindings::bpf_sched_policy,
    ) -> c_int {
        // SAFETY: `bpf_sched_ask_cfs_check_preempt_wakeup()` is called with the rq locked that
        // both tasks are on and with interrupts off, which makes an RCU read-side section, and
        // passes the handle of the policy.
        let (policy, cx, curr, wakee) = unsafe {
            (
                Self::policy(this),
                RqLocked::assume(this, addr_of_mut!((*curr).se)),
                Task::from_raw(curr),
                Task::from_raw(p),
            )
        };

        policy
            .check_preempt_wakeup(&cx, curr, wakee, WakeFlags::new(wake_flags))
            .into()
    }

    /// # Safety
    ///
    /// To be called as [`bindings::bpf_sched_ops::cfs_wakeup_preempt_entity`] only.
    unsafe extern "C" fn wakeup_preempt_entity(
        curr: *mut bindings::sched_entity,
        se: *mut bindings::sched_entity,
        wake_flags: u64,
        this: *const bindings::bpf_sched_policy,
    ) -> c_int {
        // SAFETY: `bpf_sched_ask_cfs_wakeup_preempt_entity()` is called with the rq locked that
        // both entities are on and with interrupts off, which makes an RCU read-side section, and
        // passes the handle of the policy.
        let (policy, cx, curr, wakee) = unsafe {
            (
                Self::policy(this),
                RqLocked::assume(this, curr),
                Entity::from_raw(curr),
                Entity::from_raw(se),
            )
        };

        policy
            .wakeup_preempt_entity(&cx, curr, wakee, WakeFlags::new(wake_flags))
            .into()
    }

    /// # Safety
    ///
    /// To be called as [`bindings::bpf_sched_ops::cfs_check_preempt_tick`] only.
    unsafe extern "C" fn check_preempt_tick(
        curr: *mut bindings::sched_entity,
        delta_exec: c_ulong,
        this: *const bindings::bpf_sched_policy,
    ) -> c_int {
        // SAFETY: `bpf_sched_ask_cfs_check_preempt_tick()` is called with the rq locked that the
        // entity is on and with interrupts off, which makes an RCU read-side section, and passes
        // the handle of the policy.
        let (policy, cx, curr) = unsafe {
            (
                Self::policy(this),
                RqLocked::assume(this, curr),
                Entity::from_raw(curr),
            )
        };

        policy
            .check_preempt_tick(&cx, curr, Nanos::new(delta_exec as u64))
            .into()
    }

    /// # Safety
    ///
    /// To be called as [`bindings::bpf_sched_ops::cfs_slice`] only.
    unsafe extern "C" fn slice(
        se: *mut bindings::sched_entity,
        slice: u64,
        this: *const bindings::bpf_sched_policy,
    ) -> c_int {
        // SAFETY: `bpf_sched_ask_cfs_slice()` is called with the rq locked that the entity is on
        // or about to be queued on, which is the rq of its task already, and with interrupts off,
        // which makes an RCU read-side section, and passes the handle of the policy.
        let (policy, cx, se) = unsafe {
            (
                Self::policy(this),
                RqLocked::assume(this, se),
                Entity::from_raw(se),
            )
        };

        slice_to_c(policy.slice(&cx, se, Nanos::new(slice)))
    }

    /// # Safety
    ///
    /// To be called as [`bindings::bpf_sched_ops::cfs_select_cpu`] only.
    unsafe extern "C" fn select_cpu(
        p: *mut bindings::task_struct,
        prev_cpu: u64,
        wake_flags: u64,
        stock_cpu: u64,
        this: *const bindings::bpf_sched_policy,
    ) -> c_int {
        // SAFETY: `bpf_sched_ask_cfs_select_cpu()` is called with the `pi_lock` of the task held,
        // which is on no rq or `current`, and with interrupts off, which makes an RCU read-side
        // section, and passes the handle of the policy. Both numbers are of CPUs.
        let (policy, cx, p, prev, stock) = unsafe {
            (
                Self::policy(this),
                PiLocked::assume(this, p),
                Task::from_raw(p),
                CpuId::from_u32_unchecked(prev_cpu as u32),
                CpuId::from_u32_unchecked(stock_cpu as u32),
            )
        };

        cpu_to_c(policy.select_cpu(&cx, p, prev, WakeFlags::new(wake_flags), stock))
    }

    /// # Safety
    ///
    /// To be called as [`bindings::bpf_sched_ops::cfs_can_migrate`] only.
    unsafe extern "C" fn can_migrate(
        p: *mut bindings::task_struct,
        _src_cpu: u64,
        dst_cpu: u64,
        hot: u64,
        this: *const bindings::bpf_sched_policy,
    ) -> c_int {
        // SAFETY: `bpf_sched_ask_cfs_can_migrate()` is called with the rq locked that the task is
        // on and with interrupts off, which makes an RCU read-side section, and passes the handle
        // of the policy. The number is that of a CPU.
        let (policy, cx, p, dst) = unsafe {
            (
                Self::policy(this),
                RqLocked::assume(this, addr_of_mut!((*p).se)),
                Task::from_raw(p),
                CpuId::from_u32_unchecked(dst_cpu as u32),
            )
        };

        policy.can_migrate(&cx, p, dst, hot != 0).into()
    }
}

/// A [`Table`] of any policy.
///
/// # Safety
///
/// The table of callbacks in the [`head()`](Self::head), which is a part of `self`, is valid and
/// does not change until `self`, which is pinned, is dropped.
unsafe trait AnyTable: Send + Sync {
    fn head(&self) -> &Head;
}

// SAFETY: By the type invariant, and as nothing writes to it.
unsafe impl<T: Policy> AnyTable for Table<T> {
    fn head(&self) -> &Head {
        &self.head
    }
}

// SAFETY: A table is only read, and `T` is `Send`.
unsafe impl<T: Policy> Send for Table<T> {}
// SAFETY: A table is only read, and `T` is `Sync`.
unsafe impl<T: Policy> Sync for Table<T> {}

/// A policy that is ready to be attached, of whatever type it is.
pub struct Answers(Pin<KVBox<dyn AnyTable>>);

impl Answers {
    /// Makes the table of `policy`.
    ///
    /// # Errors
    ///
    /// That of the initializer of `policy`, or `ENOMEM`.
    pub fn new<T: Policy, E>(
        _cx: &Process<'_>,
        flags: Flags,
        policy: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        let table = KVBox::try_pin_init::<Error>(Table::new(flags, policy), GFP_KERNEL)?;

        // SAFETY: It is pinned again, where it is.
        let table: KVBox<Table<T>> = unsafe { Pin::into_inner_unchecked(table) };
        let table: KVBox<dyn AnyTable> = table;

        Ok(Self(table.into()))
    }

    /// The table, which is valid and does not change until `self` is dropped.
    pub(crate) fn ops(&self) -> *const bindings::bpf_sched_ops {
        // Of all of the table, to which callbacks come back from it.
        ptr::from_ref(&*self.0)
            .cast::<Opaque<bindings::bpf_sched_ops>>()
            .cast()
    }

    /// Lets callbacks know of their registration.
    ///
    /// # Safety
    ///
    /// `registration` must be valid until no callback of this can be running any more.
    pub(crate) unsafe fn bind(&self, registration: *mut bindings::bpf_sched_registration) {
        // INVARIANT: By the safety requirement.
        self.0.head().registration.store(registration, Relaxed);
    }
}
