// SPDX-License-Identifier: GPL-2.0

//! Keeps state of a task past the RCU read-side section.

// expect: temporary value dropped while borrowed

include!("frame/module.rs");

#[derive(Zeroable)]
struct State {
    number: Atomic<u64>,
}

static STATES: TaskStorage<State> = TaskStorage::new();

#[allow(dead_code)]
fn number(task: &Task) -> u64 {
    let state = STATES.get(task, &rcu::read_lock());

    state.map_or(0, |state| state.number.load(Relaxed))
}

#[vtable]
impl Policy for Example {
    const NAME: &'static CStr = c"example";

    fn slice(_: &RqLocked, _: &Entity, _: Delta) -> Option<Delta> {
        None
    }
}
