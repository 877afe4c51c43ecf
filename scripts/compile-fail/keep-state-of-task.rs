// SPDX-License-Identifier: GPL-2.0

//! Keeps state longer than its task.

// expect: cannot return value referencing function parameter `task`

include!("frame/module.rs");

#[derive(Zeroable)]
struct State {
    number: Atomic<u64>,
}

static STATES: TaskStorage<State> = TaskStorage::new();

#[allow(dead_code)]
fn number(task: ARef<Task>, rcu: &rcu::Guard) -> Option<&State> {
    STATES.get(&task, rcu)
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
