// SPDX-License-Identifier: GPL-2.0

//! Releases a cgroup when it is asked.

// expect: cannot move out of `self.cgroup` which is behind a shared reference

include!("frame/module.rs");

struct Example {
    cgroup: Cgroup,
}

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let policy = Self {
            cgroup: Cgroup::from_path(cx, c"/example.slice")?,
        };

        Ok((Place::system(), Answers::new(cx, Flags::default(), policy)?))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn check_preempt_wakeup(
        &self,
        _: &RqLocked<'_>,
        _: Task<'_>,
        _: Task<'_>,
        _: WakeFlags,
    ) -> Wakeup {
        drop(self.cgroup);

        Wakeup::NoOpinion
    }
}
