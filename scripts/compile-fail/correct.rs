// SPDX-License-Identifier: GPL-2.0

//! No mistake: what the other cases do where they must not is done here where it may be.

include!("frame/module.rs");

#[derive(Zeroable)]
struct State {
    number: Atomic<u64>,
    room: [u64; 127],
}

static STATES: TaskStorage<State> = TaskStorage::new();
static LAST: Atomic<i32> = Atomic::new(0);

#[allow(dead_code)]
fn register(cgroup: &Cgroup) -> Result<(Allocation<State>, Pin<KBox<Registration<Example>>>)> {
    let registration = Registration::register(Options {
        cgroup: Some(cgroup),
        shadow: true,
    });

    Ok((STATES.alloc()?, KBox::pin_init(registration, GFP_KERNEL)?))
}

#[allow(dead_code)]
fn keep(task: &Task) -> ARef<Task> {
    task.into()
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"fifteen_letters";

    fn check_preempt_wakeup(cx: &RqLocked, curr: &Task, wakee: &Task, _: WakeFlags) -> Wakeup {
        let slice = |task| cx.entity(task).slice();

        LAST.store(curr.pid(), Relaxed);
        if slice(curr) > slice(wakee) {
            Wakeup::Preempt
        } else {
            Wakeup::Pass
        }
    }

    fn slice(_: &RqLocked, se: &Entity, default: Delta) -> Option<Delta> {
        let rcu = rcu::read_lock();
        let state = STATES.get_or_zeroed(se.task()?, &rcu)?;

        state.number.add(1, Relaxed);
        (state.room[0] == 0).then_some(default)
    }

    fn check_preempt_tick(_: &RqLocked, _: &Entity, _: Delta) -> Tick {
        Tick::Extend
    }

    fn select_cpu(
        _: &LocalInterruptDisabled,
        _: &Task,
        prev: CpuId,
        _: WakeFlags,
        _: CpuId,
    ) -> Option<CpuId> {
        Some(prev)
    }

    fn can_migrate(_: &RqLocked, _: &Task, _: CpuId, _: CpuId, hot: bool) -> Migrate {
        if hot {
            Migrate::Stay
        } else {
            Migrate::Pass
        }
    }
}
