// SPDX-License-Identifier: GPL-2.0

//! Lets threads tell the scheduler how long their work is and when they hold a lock.
//!
//! The module is a policy for the fair class and a character device through which any thread that
//! may open it gives hints about itself. `rust_sched_hint.h` describes the ioctls, and
//! `rust_sched_hint_preload.c` is a library that gives hints for the mutexes of a program that
//! knows nothing of them:
//!
//! ```sh
//! modprobe rust_sched_hint
//! chmod 666 /dev/sched_hint
//! LD_PRELOAD=./rust_sched_hint_preload.so program
//! echo 5000 > /sys/kernel/debug/rust_sched_hint/hold_us
//! grep -A 4 rust_sched_hint /sys/kernel/debug/sched/bpf/modules
//! ```
//!
//! A hint is an input of EEVDF, so it does not change shares of the CPU, and the kernel clamps it
//! as any policy's. `hold_us` limits in addition how long a slice is extended for a lock: by so
//! much, and up to the next tick, a thread can make others wait longer than by `sched_setattr()`.

use kernel::{
    debugfs,
    fs::File,
    ioctl::_IO,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu, //
    },
    task::Task,
    time::Delta, //
};
use sched_bpf::{
    Allocation,
    Cgroup,
    Entity,
    Options,
    Policy,
    Registration,
    RqLocked,
    TaskStorage,
    Tick,
    WakeFlags,
    Wakeup, //
};

const SCHED_HINT_WORK: u32 = _IO('|' as u32, 0x90);
const SCHED_HINT_LOCK: u32 = _IO('|' as u32, 0x91);
const SCHED_HINT_UNLOCK: u32 = _IO('|' as u32, 0x92);

const MAX_WORK_US: usize = 1_000_000;
const MAX_LOCKS: u32 = 1_000;

module! {
    type: HintModule,
    name: "rust_sched_hint",
    authors: ["sched_bpf contributors"],
    description: "Hints of threads to the fair scheduling class",
    license: "GPL",
    imports_ns: ["SCHED_BPF"],
    params: {
        cgroup: u64 {
            default: 0,
            description: "Id of the cgroup whose hints count, the inode of its directory; 0: all",
        },
        shadow: bool {
            default: false,
            description: "Call and count the policy, but pass over its results",
        },
    },
}

/// How much longer than the base slice a thread that holds a lock runs, in microseconds.
static HOLD_US: Atomic<u32> = Atomic::new(3_000);

/// The hints of a thread, to which only the thread itself writes, and the base slice, which is
/// written with its rq locked.
#[derive(Zeroable)]
struct Hint {
    work_us: Atomic<u32>,
    locks: Atomic<u32>,
    base_ns: Atomic<i64>,
}

static HINTS: TaskStorage<Hint> = TaskStorage::new();

impl Hint {
    /// Returns true if the thread says that it holds a lock.
    fn holds_lock(&self) -> bool {
        self.locks.load(Relaxed) > 0
    }

    /// Returns how long the thread may run after it was picked while it holds a lock.
    fn limit(&self) -> Delta {
        match HOLD_US.load(Relaxed) {
            0 => Delta::ZERO,
            us => {
                let hold_ns = i64::from(us) * 1_000;

                Delta::from_nanos(self.base_ns.load(Relaxed).saturating_add(hold_ns))
            }
        }
    }
}

/// Returns true if `task` says that it holds a lock.
fn holds_lock(task: &Task) -> bool {
    HINTS
        .get(task, &rcu::read_lock())
        .is_some_and(Hint::holds_lock)
}

struct HintPolicy;

#[vtable]
impl Policy for HintPolicy {
    const NAME: &'static CStr = c"hint";

    fn check_preempt_wakeup(_: &RqLocked, curr: &Task, wakee: &Task, _: WakeFlags) -> Wakeup {
        match (holds_lock(curr), holds_lock(wakee)) {
            (true, false) => Wakeup::NoPreempt,
            (false, true) => Wakeup::Preempt,
            _ => Wakeup::Pass,
        }
    }

    fn slice(_: &RqLocked, se: &Entity, default: Delta) -> Option<Delta> {
        let rcu = rcu::read_lock();
        let hint = HINTS.get(se.task()?, &rcu)?;
        let work_us = hint.work_us.load(Relaxed);

        hint.base_ns.store(default.as_nanos(), Relaxed);
        (work_us > 0).then(|| Delta::from_micros(work_us.into()))
    }

    fn check_preempt_tick(_: &RqLocked, curr: &Entity, ran: Delta) -> Tick {
        let rcu = rcu::read_lock();
        let hint = curr.task().and_then(|task| HINTS.get(task, &rcu));

        if hint.is_some_and(|hint| hint.holds_lock() && ran < hint.limit()) {
            Tick::Extend
        } else {
            Tick::Pass
        }
    }
}

struct HintDevice;

#[vtable]
impl MiscDevice for HintDevice {
    type Ptr = ();

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result {
        Ok(())
    }

    fn ioctl(_device: (), _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let task = current!();
        let rcu = rcu::read_lock();
        let hint = HINTS.get_or_zeroed(task, &rcu).ok_or(ENOMEM)?;
        let locks = hint.locks.load(Relaxed);

        match cmd {
            SCHED_HINT_WORK if arg <= MAX_WORK_US => hint.work_us.store(arg as u32, Relaxed),
            SCHED_HINT_WORK => return Err(EINVAL),
            SCHED_HINT_LOCK if locks < MAX_LOCKS => hint.locks.store(locks + 1, Relaxed),
            SCHED_HINT_LOCK => return Err(EAGAIN),
            SCHED_HINT_UNLOCK => hint
                .locks
                .store(locks.checked_sub(1).ok_or(EINVAL)?, Relaxed),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[pin_data]
struct HintModule {
    #[pin]
    device: MiscDeviceRegistration<HintDevice>,
    #[pin]
    policy: Registration<HintPolicy>,
    hints: Allocation<Hint>,
    #[pin]
    params: debugfs::Scope<()>,
}

impl kernel::InPlaceModule for HintModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let cgroup = match module_parameters::cgroup.value() {
                0 => None,
                id => Some(Cgroup::from_id(id)?),
            };

            Ok(try_pin_init!(Self {
                hints: HINTS.alloc()?,
                policy <- Registration::register(Options {
                    cgroup: cgroup.as_deref(),
                    shadow: module_parameters::shadow.value(),
                }),
                device <- MiscDeviceRegistration::register(MiscDeviceOptions {
                    name: c"sched_hint",
                }),
                params <- debugfs::Scope::dir((), c"rust_sched_hint", |(), dir| {
                    dir.read_write_file(c"hold_us", &HOLD_US)
                }),
            }))
        })
    }
}
