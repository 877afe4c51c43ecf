// SPDX-License-Identifier: GPL-2.0

//! Policies under test in Rust. Which one, says the parameter `policy`.

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Test,
    name: "sched_bpf_test",
    authors: ["sched_bpf contributors"],
    description: "Policies for the sched_bpf selftests",
    license: "GPL",
    params: {
        policy: str {
            default: c"empty",
            description: "Which policy, see answers() for their names",
        },
        answer: i32 {
            default: 0,
            description: "What constant and entity answer, as in BPF, or the CPU of here",
        },
        now: i32 {
            default: 0,
            range: -1..=1,
            description: "What the policy changed answers to ticks now, and what worker becomes",
        },
        slice_us: u64 {
            default: 0,
            description: "What the policy slice answers, in microseconds",
        },
        replacements: u32 {
            default: 0,
            description: "How often the policy replaced is replaced, before the policy empty stays",
        },
        cgroup: str {
            default: c"",
            description: "Path of the cgroup to attach to, the whole system if it is empty",
        },
        first: bool {
            default: false,
            description: "Attach before others",
        },
        preorder: bool {
            default: false,
            description: "Attach to be asked before the policies of deeper cgroups",
        },
        shadow: bool {
            default: false,
            description: "Ask and count, but do not obey",
        },
    },
}

struct Test;

impl PolicyModule for Test {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let flags = Flags::shadow(module_parameters::shadow.value());
        let answers = module_parameters::policy.with(|policy| answers(cx, policy, flags))?;

        let mut place = module_parameters::cgroup.with(|path| match path.to_bytes() {
            b"" => Ok(Place::system()),
            _ => Cgroup::from_path(cx, path).map(Place::cgroup),
        })?;
        if module_parameters::first.value() {
            place = place.first();
        }
        if module_parameters::preorder.value() {
            place = place.preorder();
        }
        Ok((place, answers))
    }

    fn work(cx: &Process<'_>, mut policy: Pin<&mut Registration>) {
        WORKED.fetch_add(1, Relaxed);
        while let Some(pid) = MAIL.take(cx) {
            if pid != 0 {
                TAKEN.fetch_add(1, Relaxed);
            }
        }
        if module_parameters::now.value() < 0 && policy.is_attached(cx) {
            let replaced = Answers::new(cx, Flags::default(), Constant(-1))
                .and_then(|answers| policy.as_mut().replace(cx, answers));

            match replaced {
                Ok(()) => cx.info(fmt!("replaced\n")),
                Err(error) => cx.error(fmt!("not replaced: {}\n", error.to_errno())),
            }
        }
    }
}

/// What the policy worker leaves, how much of it its work took, and how often that was done.
static MAIL: Mailbox<64> = Mailbox::new();
static TAKEN: Atomic<u64> = Atomic::new(0);
static WORKED: Atomic<u64> = Atomic::new(0);

fn answers(cx: &Process<'_>, policy: &CStr, flags: Flags) -> Result<Answers> {
    let answer = module_parameters::answer.value();

    match policy.to_bytes() {
        b"empty" => Answers::new(cx, flags, Empty),
        b"changed" => Answers::new(cx, flags, Changed),
        b"constant" => Answers::new(cx, flags, Constant(answer)),
        b"entity" => Answers::new(cx, flags, ConstantOfEntity(answer)),
        b"forgotten" => {
            let constant = Answers::new(cx, flags, Constant(answer))?;

            core::mem::forget(Registration::boxed(cx, Place::system(), constant)?);
            Answers::new(cx, flags, Empty)
        }
        b"here" => {
            let cpu = CpuId::from_i32(answer).ok_or(EINVAL)?;

            Answers::new(cx, flags, Here(cpu))
        }
        b"mirror" => Answers::new(cx, flags, Mirror),
        b"remember" => {
            let policy = Remember {
                seen: TaskStorage::new(cx)?,
                found: Counter::new(cx)?,
                new: Counter::new(cx)?,
                full: Counter::new(cx)?,
            };

            Answers::new(cx, flags, policy)
        }
        b"replaced" => {
            replace(cx, module_parameters::replacements.value())?;
            Answers::new(cx, flags, Empty)
        }
        b"silent" => Answers::new(cx, flags, Silent),
        b"slice" => {
            let slice = Nanos::from_micros(module_parameters::slice_us.value());

            Answers::new(cx, flags, Slice(slice))
        }
        b"slow" => Answers::new(cx, flags, Slow),
        b"views" => Answers::new(cx, flags, Views),
        b"worker" => {
            let policy = Worker {
                posted: Counter::new(cx)?,
                full: Counter::new(cx)?,
            };

            Answers::new(cx, flags, policy)
        }
        _ => {
            cx.error(fmt!("policy={policy}: there is no such policy\n"));
            Err(EINVAL)
        }
    }
}

/// Attaches a policy and lets others take its place.
fn replace(cx: &Process<'_>, times: u32) -> Result {
    let shadow = Flags::from(Flag::Shadow);
    let answers = Answers::new(cx, shadow, Constant(0))?;
    let mut registration = Registration::boxed(cx, Place::system(), answers)?;

    for _ in 0..times / 2 {
        registration
            .as_mut()
            .replace(cx, Answers::new(cx, shadow, Constant(1))?)?;
        registration
            .as_mut()
            .replace(cx, Answers::new(cx, shadow, Mirror)?)?;
    }
    Ok(())
}

/// Has no opinion on anything.
struct Empty;

#[vtable]
impl Policy for Empty {
    const NAME: &'static CStr = c"rust_empty";

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        Wakeup::NoOpinion
    }

    fn wakeup_preempt_entity(
        &self,
        _: &RqLocked<'_>,
        _: Entity<'_>,
        _: Entity<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        Wakeup::NoOpinion
    }

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        Tick::NoOpinion
    }

    fn slice(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Option<Nanos> {
        None
    }
}

fn wakeup(answer: i32) -> Wakeup {
    match answer {
        ..0 => Wakeup::NoPreempt,
        0 => Wakeup::NoOpinion,
        2 => Wakeup::PreemptNow,
        _ => Wakeup::Preempt,
    }
}

fn tick(answer: i32) -> Tick {
    match answer {
        ..0 => Tick::Keep,
        0 => Tick::NoOpinion,
        1.. => Tick::Resched,
    }
}

/// Always gives the same answer, where it is a verdict.
struct Constant(i32);

#[vtable]
impl Policy for Constant {
    const NAME: &'static CStr = c"rust_constant";

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        wakeup(self.0)
    }

    fn wakeup_preempt_entity(
        &self,
        _: &RqLocked<'_>,
        _: Entity<'_>,
        _: Entity<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        wakeup(self.0)
    }

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        tick(self.0)
    }
}

/// The same for one hook, which is not asked where the other one about wakeups has an opinion.
struct ConstantOfEntity(i32);

#[vtable]
impl Policy for ConstantOfEntity {
    const NAME: &'static CStr = c"rust_entity";

    fn wakeup_preempt_entity(
        &self,
        _: &RqLocked<'_>,
        _: Entity<'_>,
        _: Entity<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        wakeup(self.0)
    }
}

/// Makes all requests as long.
struct Slice(Nanos);

#[vtable]
impl Policy for Slice {
    const NAME: &'static CStr = c"rust_slice";

    fn slice(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Option<Nanos> {
        Some(self.0)
    }
}

/// Puts all tasks on one CPU.
struct Here(CpuId);

#[vtable]
impl Policy for Here {
    const NAME: &'static CStr = c"rust_here";

    fn select_cpu(
        &self,
        _: &PiLocked<'_>,
        _: Task<'_>,
        _: CpuId,
        _: WakeFlags,
        _: CpuId,
    ) -> Option<CpuId> {
        Some(self.0)
    }

    fn can_migrate(&self, _: &RqLocked<'_>, _: Task<'_>, dst: CpuId, _: bool) -> Migrate {
        if dst.as_u32() == self.0.as_u32() {
            Migrate::Migrate
        } else {
            Migrate::Stay
        }
    }
}

/// A hash of all that a policy sees; `mirror.bpf.c` does the same. Its answers look random, but
/// follow from the question.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    fn new(cx: &RqLocked<'_>) -> Self {
        Self(0xcbf2_9ce4_8422_2325).add(cx.cgroup_id())
    }

    fn add(self, value: u64) -> Self {
        Self((self.0 ^ value).wrapping_mul(0x0100_0000_01b3))
    }

    fn entity(self, cx: &RqLocked<'_>, entity: Entity<'_>) -> Self {
        self.add(entity.slice().as_nanos())
            .add(entity.deadline().as_nanos())
            .add(entity.vruntime().as_nanos())
            .add(entity.weight().as_usize() as u64)
            .add(entity.exec_time().as_nanos())
            .add(entity.exec_time_since_pick().as_nanos())
            .add(entity.lag(cx).as_nanos() as u64)
            .add(u64::from(entity.eligible(cx)))
            .add(u64::from(entity.nr_runnable(cx)))
            .add(u64::from(entity.is_in_id(cx.cgroup_id())))
            .add(entity.task().map_or(0, |task| task.pid() as u64))
    }

    fn task(self, cx: &RqLocked<'_>, task: Task<'_>) -> Self {
        let policy = match task.sched_policy() {
            SchedPolicy::Normal => 0,
            SchedPolicy::Batch => 3,
            SchedPolicy::Idle => 5,
            SchedPolicy::Ext => 7,
            SchedPolicy::Other => 1,
        };
        let hash = self
            .entity(cx, task.entity(cx))
            .add(task.pid() as u64)
            .add(task.tgid() as u64)
            .add(task.nice() as u64)
            .add(policy)
            .add(u64::from(task.cpu().as_u32()))
            .add(u64::from(task.nr_cpus_allowed()))
            .add(task.nr_sleeps() as u64)
            .add(task.start_time().as_nanos());

        task.comm()
            .into_iter()
            .take_while(|&c| c != 0)
            .fold(hash, |hash, c| hash.add(u64::from(c)))
    }

    fn flags(self, flags: WakeFlags) -> Self {
        self.add(u64::from(flags.is_fork()))
            .add(u64::from(flags.is_sync()))
            .add(u64::from(flags.is_migrated()))
    }

    /// From -1 to 2.
    fn wakeup(self) -> i32 {
        ((self.0 >> 32) % 4) as i32 - 1
    }

    /// From -1 to 1.
    fn tick(self) -> i32 {
        ((self.0 >> 32) % 3) as i32 - 1
    }

    /// Up to 16.8 ms, some of them below the least that is granted.
    fn slice(self) -> Option<Nanos> {
        (self.0 >> 63 != 0).then_some(Nanos::new((self.0 >> 32) & 0xff_ffff))
    }
}

/// Answers by [`Hash`].
struct Mirror;

#[vtable]
impl Policy for Mirror {
    const NAME: &'static CStr = c"rust_mirror";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        curr: Task<'_>,
        wakee: Task<'_>,
        flags: WakeFlags,
    ) -> Wakeup {
        let hash = Hash::new(cx).flags(flags);

        wakeup(hash.task(cx, curr).task(cx, wakee).wakeup())
    }

    fn wakeup_preempt_entity(
        &self,
        cx: &RqLocked<'_>,
        curr: Entity<'_>,
        wakee: Entity<'_>,
        flags: WakeFlags,
    ) -> Wakeup {
        let hash = Hash::new(cx).flags(flags);

        wakeup(hash.entity(cx, curr).entity(cx, wakee).wakeup())
    }

    fn check_preempt_tick(&self, cx: &RqLocked<'_>, curr: Entity<'_>, ran: Nanos) -> Tick {
        tick(Hash::new(cx).entity(cx, curr).add(ran.as_nanos()).tick())
    }

    fn slice(&self, cx: &RqLocked<'_>, se: Entity<'_>, stock: Nanos) -> Option<Nanos> {
        Hash::new(cx).entity(cx, se).add(stock.as_nanos()).slice()
    }
}

/// Keeps what it is asked about, if what that shows of its rq fits together.
struct Views;

#[vtable]
impl Policy for Views {
    const NAME: &'static CStr = c"rust_views";

    fn check_preempt_tick(&self, cx: &RqLocked<'_>, curr: Entity<'_>, _: Nanos) -> Tick {
        let lag = curr.lag(cx);

        // It is asked about if another one waits.
        if curr.nr_runnable(cx) >= 2
            && curr.eligible(cx) == (lag >= VirtualDelta::ZERO)
            && lag.as_nanos() > i64::MIN
        {
            Tick::Keep
        } else {
            Tick::Resched
        }
    }
}

/// Takes half a millisecond.
struct Slow;

#[vtable]
impl Policy for Slow {
    const NAME: &'static CStr = c"rust_slow";

    fn check_preempt_tick(&self, cx: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        let began = cx.now();

        while cx.now() - began < Nanos::from_micros(500) {}
        Tick::NoOpinion
    }
}

/// Answers nothing, which is refused.
struct Silent;

#[vtable]
impl Policy for Silent {
    const NAME: &'static CStr = c"rust_silent";
}

/// Answers what the parameter `now` is when it is asked.
struct Changed;

#[vtable]
impl Policy for Changed {
    const NAME: &'static CStr = c"rust_changed";

    fn check_preempt_tick(&self, _: &RqLocked<'_>, _: Entity<'_>, _: Nanos) -> Tick {
        tick(module_parameters::now.value())
    }
}

/// State that is large enough to be missed where it is not freed.
struct Large {
    runs: Average,
    _room: [u64; 256],
}

impl Default for Large {
    fn default() -> Self {
        Self {
            runs: Average::default(),
            _room: [0; 256],
        }
    }
}

/// Remembers each task.
struct Remember {
    seen: TaskStorage<Large>,
    found: Counter,
    new: Counter,
    full: Counter,
}

#[vtable]
impl Policy for Remember {
    const NAME: &'static CStr = c"rust_remember";

    fn slice(&self, cx: &RqLocked<'_>, se: Entity<'_>, _: Nanos) -> Option<Nanos> {
        let task = se.task()?;

        if self.seen.get(cx, task).is_some() {
            self.found.add(cx, 1);
        } else if let Some(seen) = self.seen.get_or_default(cx, task) {
            self.new.add(cx, 1);
            seen.runs.add(Nanos::ZERO);
        } else {
            self.full.add(cx, 1);
        }
        None
    }

    fn stats(&self, stats: &mut Stats<'_>) {
        stats.add(c"found", self.found.sum());
        stats.add(c"new", self.new.sum());
        stats.add(c"no room", self.full.sum());
    }
}

/// Leaves a message at each tick and has it taken.
struct Worker {
    posted: Counter,
    full: Counter,
}

#[vtable]
impl Policy for Worker {
    const NAME: &'static CStr = c"rust_worker";

    fn check_preempt_tick(&self, cx: &RqLocked<'_>, curr: Entity<'_>, _: Nanos) -> Tick {
        let pid = curr.task().map_or(0, Task::pid);

        if MAIL.post(cx, pid as u64) {
            self.posted.add(cx, 1);
        } else {
            self.full.add(cx, 1);
        }
        cx.schedule_work();
        Tick::NoOpinion
    }

    fn stats(&self, stats: &mut Stats<'_>) {
        stats.add(c"posted", self.posted.sum());
        stats.add(c"full", self.full.sum());
        stats.add(c"taken", TAKEN.load(Relaxed));
        stats.add(c"worked", WORKED.load(Relaxed));
    }
}
