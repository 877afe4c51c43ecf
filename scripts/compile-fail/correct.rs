// SPDX-License-Identifier: GPL-2.0

//! No mistake, and no unsafe code: what the others do where they must not is done here where it
//! may be.

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Example,
    name: "example",
    authors: ["sched_bpf contributors"],
    description: "An example",
    license: "GPL",
    params: {
        cgroup: str {
            default: c"",
            description: "Path of a cgroup",
        },
    },
}

#[derive(Default)]
struct Seen {
    run: Average,
}

struct Example {
    cgroup: Cgroup,
    seen: TaskStorage<Seen>,
    asked: Counter,
}

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let cgroup = module_parameters::cgroup.with(|path| {
            if path.is_empty() {
                cx.error(fmt!("cgroup={path}: not the path of a cgroup\n"));
                return Err(EINVAL);
            }
            Cgroup::from_path(cx, path)
        })?;
        let policy = Self {
            cgroup,
            seen: TaskStorage::new(cx)?,
            asked: Counter::new(cx)?,
        };

        Ok((
            Place::cgroup(Cgroup::from_id(cx, policy.cgroup.id())?),
            Answers::new(cx, Flag::Shadow.into(), policy)?,
        ))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"fifteen_letters";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        curr: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        self.asked.add(cx, 1);
        if let Some(seen) = self.seen.get_or_default(cx, wakee) {
            seen.run.add(cx.now() - wakee.start_time());
        }
        if wakee.is_in(&self.cgroup) && !curr.is_in(&self.cgroup) {
            Wakeup::Preempt
        } else {
            Wakeup::NoOpinion
        }
    }

    fn wakeup_preempt_entity(
        &self,
        _: &RqLocked<'_>,
        curr: Entity<'_>,
        wakee: Entity<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        if wakee.deadline().since(curr.deadline()) < VirtualDelta::ZERO {
            Wakeup::PreemptNow
        } else {
            Wakeup::NoPreempt
        }
    }

    fn check_preempt_tick(&self, _: &RqLocked<'_>, curr: Entity<'_>, ran: Nanos) -> Tick {
        if ran < curr.slice() && curr.is_in(&self.cgroup) {
            Tick::Keep
        } else {
            Tick::NoOpinion
        }
    }

    fn slice(&self, cx: &RqLocked<'_>, se: Entity<'_>, stock: Nanos) -> Option<Nanos> {
        let task = se.task()?;

        (se.nr_runnable(cx) > 1 && task.nice() < 0).then_some(stock.min(Nanos::from_millis(1)))
    }
}
