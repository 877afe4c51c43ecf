// SPDX-License-Identifier: GPL-2.0

//! Returns the state of a task, which may be gone with it after the call.

// expect: lifetime may not live long enough

include!("frame/module.rs");

struct Example {
    states: TaskStorage<Average>,
}

impl Example {
    fn forever(&'static self, cx: &RqLocked<'_>, task: Task<'_>) -> Option<&'static Average> {
        self.states.get(cx, task)
    }
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
}
