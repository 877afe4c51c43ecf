// SPDX-License-Identifier: GPL-2.0

//! Protects a process, or a cgroup with all below it, from preemption, and prefers it.
//!
//! A wakee of the target preempts a task outside it, the reverse is refused, and the request of a
//! running task of the target grows until it has run for `cap_us`, which it pays for afterwards. Of
//! two tasks that are both in the target, or both not, the fair class decides. When the cgroup is
//! removed the policy is detached; when the process ends, unload it before another process gets its
//! id.
//!
//! ```sh
//! modprobe rust_sched_protect cgroup=/workload.slice cap_us=5000
//! bpftool sched show
//! rmmod rust_sched_protect
//! ```

use sched_bpf::prelude::*;

module_sched_policy! {
    type: Protect,
    name: "rust_sched_protect",
    authors: ["sched_bpf contributors"],
    description: "Protect and prefer a process or a cgroup",
    license: "GPL",
    params: {
        tgid: i32 {
            default: 0,
            description: "Process to protect",
        },
        cgroup: str {
            default: c"",
            description: "Path of the cgroup to protect, such as /workload.slice",
        },
        cap_us: u64 {
            default: 10_000,
            range: 0..=100_000,
            description: "How long a request may become, in microseconds, 0 to 100000",
        },
        shadow: bool {
            default: false,
            description: "Ask and count, but do not obey",
        },
    },
}

enum Target {
    Process(i32),
    /// By its id.
    Cgroup(u64),
}

struct Protect(Target);

impl Protect {
    fn contains(&self, entity: Entity<'_>) -> bool {
        match &self.0 {
            Target::Process(tgid) => entity.task().is_some_and(|task| task.tgid() == *tgid),
            Target::Cgroup(id) => entity.is_in_id(*id),
        }
    }
}

/// Which tasks are meant by the parameters, and where to attach the policy for them.
fn target(cx: &Process<'_>, tgid: i32, path: &CStr) -> Result<(Target, Place)> {
    match (tgid, path.is_empty()) {
        (1.., true) => Ok((Target::Process(tgid), Place::system())),
        (0, false) => {
            let cgroup = Cgroup::from_path(cx, path).map_err(|_| {
                cx.error(fmt!(
                    "cgroup={path}: no such cgroup; without its mount point, as /workload.slice\n"
                ));
                // insmod takes ENOENT for a symbol that is not known.
                EINVAL
            })?;

            // A question about two tasks is asked of the policies of both.
            Ok((Target::Cgroup(cgroup.id()), Place::cgroup(cgroup)))
        }
        _ => {
            cx.error(fmt!("tgid={tgid} cgroup={path}: give one of the two\n"));
            Err(EINVAL)
        }
    }
}

impl PolicyModule for Protect {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let tgid = module_parameters::tgid.value();
        let (target, place) = module_parameters::cgroup.with(|path| target(cx, tgid, path))?;
        let flags = Flags::shadow(module_parameters::shadow.value());

        Ok((place, Answers::new(cx, flags, Self(target))?))
    }
}

#[vtable]
impl Policy for Protect {
    const NAME: &'static CStr = c"protect";

    fn check_preempt_wakeup(
        &self,
        cx: &RqLocked<'_>,
        curr: Task<'_>,
        wakee: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        let (curr, wakee) = (curr.entity(cx), wakee.entity(cx));

        match (self.contains(curr), self.contains(wakee)) {
            (false, true) => Wakeup::PreemptNow,
            (true, false) => Wakeup::NoPreempt,
            _ => Wakeup::NoOpinion,
        }
    }

    fn check_preempt_tick(&self, _: &RqLocked<'_>, curr: Entity<'_>, ran: Nanos) -> Tick {
        let cap = Nanos::from_micros(module_parameters::cap_us.value());

        if ran < cap && self.contains(curr) {
            Tick::Keep
        } else {
            Tick::NoOpinion
        }
    }
}
