// SPDX-License-Identifier: GPL-2.0

// What the cases and the examples of the documentation use.

#[allow(unused_imports)]
use kernel::{
    cpu::CpuId,
    interrupt::LocalInterruptDisabled,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu,
        SetOnce, //
    },
    task::Task,
    time::Delta, //
};
#[allow(unused_imports)]
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
