// SPDX-License-Identifier: GPL-2.0

//! Keeps state of tasks that would have to be dropped with them.

// expect: state of tasks is not dropped

include!("frame/module.rs");

#[derive(Default)]
struct Noisy;

impl Drop for Noisy {
    fn drop(&mut self) {}
}

struct Example {
    states: TaskStorage<Noisy>,
}

impl PolicyModule for Example {
    fn load(cx: &Process<'_>) -> Result<(Place, Answers)> {
        let states = TaskStorage::new(cx)?;

        Ok((
            Place::system(),
            Answers::new(cx, Flags::default(), Self { states })?,
        ))
    }
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(&self, cx: &RqLocked<'_>, se: Entity<'_>, _: Nanos) -> Option<Nanos> {
        self.states.get_or_default(cx, se.task()?)?;
        None
    }
}
