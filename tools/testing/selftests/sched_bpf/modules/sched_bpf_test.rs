// SPDX-License-Identifier: GPL-2.0

//! The policies of the selftest `rust`, chosen by the parameter `policy`.

use kernel::{
    cpu::CpuId,
    debugfs::Scope,
    interrupt::LocalInterruptDisabled,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu, //
    },
    task::{
        might_sleep,
        Task, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};
use sched_bpf::{
    Allocation,
    Cgroup,
    Entity,
    Migrate,
    Options,
    Policy,
    Registration,
    RqLocked,
    TaskStorage,
    Tick,
    WakeFlag,
    WakeFlags,
    Wakeup, //
};

module! {
    type: TestModule,
    name: "sched_bpf_test",
    authors: ["sched_bpf contributors"],
    description: "Policies for the sched_bpf selftests",
    license: "GPL",
    imports_ns: ["SCHED_BPF"],
    params: {
        policy: u32 {
            default: 0,
            description: "0: empty, 1: result, 2: mirror, 3: remember, 4: slow, 5: sleep",
        },
        result: i32 {
            default: 0,
            description: "What wakeup and tick hooks return for policy 1",
        },
        slice_us: i64 {
            default: 0,
            description: "What the slice hook returns for policy 1, in microseconds, 0: nothing",
        },
        cgroup: u64 {
            default: 0,
            description: "Id of the cgroup to register for, 0: all tasks",
        },
        shadow: bool {
            default: false,
            description: "Call and count the policy, but pass over its results",
        },
    },
}

const EMPTY: u32 = 0;
const RESULT: u32 = 1;
const MIRROR: u32 = 2;
const REMEMBER: u32 = 3;
const SLOW: u32 = 4;
const SLEEP: u32 = 5;

/// A hash of the arguments of a hook; `mirror.bpf.c` has the same. The results of the policy mirror
/// look random, but follow from it.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const NEW: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(self, value: u64) -> Self {
        Self((self.0 ^ value).wrapping_mul(0x0100_0000_01b3))
    }

    fn entity(self, se: &Entity) -> Self {
        self.add(se.slice().as_nanos() as u64)
            .add(se.deadline())
            .add(se.vruntime())
            .add(se.sum_exec_runtime().as_nanos() as u64)
            .add(se.lag().unwrap_or(i64::MIN) as u64)
            .add((se.eligible() == Some(true)).into())
            .add(se.nr_runnable().into())
            .add(se.on_rq().into())
            .add(se.task().map_or(0, |task| task.pid() as u64))
    }

    fn task(self, cx: &RqLocked, task: &Task) -> Self {
        self.entity(cx.entity(task)).add(task.tgid() as u64)
    }

    fn flags(self, flags: WakeFlags) -> Self {
        self.add(flags.contains(WakeFlag::Fork).into())
            .add(flags.contains(WakeFlag::Ttwu).into())
            .add(flags.contains(WakeFlag::Sync).into())
            .add(flags.contains(WakeFlag::Migrated).into())
    }

    /// A number below `n`.
    fn below(self, n: u64) -> i32 {
        ((self.0 >> 32) % n) as i32
    }
}

fn wakeup(result: i32) -> Wakeup {
    match result {
        ..0 => Wakeup::NoPreempt,
        0 => Wakeup::Pass,
        1 => Wakeup::Preempt,
        2.. => Wakeup::PreemptNow,
    }
}

fn tick(result: i32) -> Tick {
    match result {
        ..0 => Tick::Extend,
        0 => Tick::Pass,
        1.. => Tick::End,
    }
}

/// State that is missed if it is not freed.
#[derive(Zeroable)]
struct Seen {
    slices: Atomic<u64>,
    _room: [u64; 127],
}

static SEEN: TaskStorage<Seen> = TaskStorage::new();
static FOUND: Atomic<u64> = Atomic::new(0);
static NEW: Atomic<u64> = Atomic::new(0);
static NO_MEMORY: Atomic<u64> = Atomic::new(0);

fn remember(task: &Task) {
    let rcu = rcu::read_lock();

    match SEEN.get_or_zeroed(task, &rcu) {
        Some(seen) if seen.slices.fetch_add(1, Relaxed) > 0 => FOUND.add(1, Relaxed),
        Some(_) => NEW.add(1, Relaxed),
        None => NO_MEMORY.add(1, Relaxed),
    }
}

/// Implements hooks that return nothing, to measure a call.
struct Empty;

#[vtable]
impl Policy for Empty {
    const NAME: &'static CStr = c"rust_empty";

    fn check_preempt_wakeup(_: &RqLocked, _: &Task, _: &Task, _: WakeFlags) -> Wakeup {
        Wakeup::Pass
    }

    fn wakeup_preempt_entity(_: &RqLocked, _: &Entity, _: &Entity) -> Wakeup {
        Wakeup::Pass
    }

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }

    fn check_preempt_tick(_: &RqLocked, _: &Entity, _: Delta) -> Tick {
        Tick::Pass
    }
}

/// Does what the parameter `policy` says.
struct Test;

#[vtable]
impl Policy for Test {
    const NAME: &'static CStr = c"rust_test";

    fn check_preempt_wakeup(cx: &RqLocked, curr: &Task, p: &Task, flags: WakeFlags) -> Wakeup {
        match module_parameters::policy.value() {
            RESULT => wakeup(module_parameters::result.value()),
            MIRROR => wakeup(Hash::NEW.flags(flags).task(cx, curr).task(cx, p).below(4) - 1),
            _ => Wakeup::Pass,
        }
    }

    fn wakeup_preempt_entity(_: &RqLocked, curr: &Entity, se: &Entity) -> Wakeup {
        match module_parameters::policy.value() {
            RESULT => wakeup(module_parameters::result.value()),
            MIRROR => wakeup(Hash::NEW.entity(curr).entity(se).below(4) - 1),
            _ => Wakeup::Pass,
        }
    }

    fn slice(_: &RqLocked, se: &Entity, default: Delta) -> Option<Delta> {
        match module_parameters::policy.value() {
            RESULT => match module_parameters::slice_us.value() {
                0 => None,
                us => Some(Delta::from_micros(us)),
            },
            // Up to 16.8 ms. Some are below the shortest slice.
            MIRROR => match Hash::NEW.entity(se).add(default.as_nanos() as u64) {
                hash if hash.below(2) == 0 => None,
                hash => Some(Delta::from_nanos(hash.below(1 << 24).into())),
            },
            REMEMBER => {
                remember(se.task()?);
                None
            }
            _ => None,
        }
    }

    fn check_preempt_tick(_: &RqLocked, curr: &Entity, ran: Delta) -> Tick {
        match module_parameters::policy.value() {
            RESULT => tick(module_parameters::result.value()),
            MIRROR => {
                let hash = Hash::NEW.entity(curr).add(ran.as_nanos() as u64);

                tick(hash.below(3) - 1)
            }
            SLOW => {
                let start = Instant::<Monotonic>::now();

                while start.elapsed() < Delta::from_micros(500) {}
                Tick::Pass
            }
            SLEEP => {
                might_sleep();
                Tick::Pass
            }
            _ => Tick::Pass,
        }
    }

    fn select_cpu(
        _: &LocalInterruptDisabled,
        p: &Task,
        prev: CpuId,
        flags: WakeFlags,
        default: CpuId,
    ) -> Option<CpuId> {
        if module_parameters::policy.value() != MIRROR {
            return None;
        }
        let hash = Hash::NEW
            .flags(flags)
            .add(p.pid() as u64)
            .add(prev.as_u32().into())
            .add(default.as_u32().into());

        match hash.below(3) {
            0 => None,
            1 => Some(prev),
            _ => Some(default),
        }
    }

    fn can_migrate(cx: &RqLocked, p: &Task, src: CpuId, dst: CpuId, hot: bool) -> Migrate {
        if module_parameters::policy.value() != MIRROR {
            return Migrate::Pass;
        }
        let hash = Hash::NEW
            .task(cx, p)
            .add(src.as_u32().into())
            .add(dst.as_u32().into())
            .add(hot.into());

        match hash.below(3) {
            0 => Migrate::Stay,
            1 => Migrate::Pass,
            _ => Migrate::Migrate,
        }
    }
}

fn register<T: Policy>(opts: Options<'_>) -> Result<Pin<KBox<Registration<T>>>> {
    KBox::pin_init(Registration::register(opts), GFP_KERNEL)
}

#[pin_data]
struct TestModule {
    empty: Option<Pin<KBox<Registration<Empty>>>>,
    test: Option<Pin<KBox<Registration<Test>>>>,
    seen: Allocation<Seen>,
    #[pin]
    counters: Scope<()>,
}

impl kernel::InPlaceModule for TestModule {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let cgroup = match module_parameters::cgroup.value() {
                0 => None,
                id => Some(Cgroup::from_id(id)?),
            };
            let opts = Options {
                cgroup: cgroup.as_deref(),
                shadow: module_parameters::shadow.value(),
            };
            let seen = SEEN.alloc()?;
            let (empty, test) = match module_parameters::policy.value() {
                EMPTY => (Some(register(opts)?), None),
                _ => (None, Some(register(opts)?)),
            };

            Ok(try_pin_init!(Self {
                empty,
                test,
                seen,
                counters <- Scope::dir((), c"sched_bpf_test", |(), dir| {
                    dir.read_only_file(c"found", &FOUND);
                    dir.read_only_file(c"new", &NEW);
                    dir.read_only_file(c"no_memory", &NO_MEMORY);
                }),
            }))
        })
    }
}
