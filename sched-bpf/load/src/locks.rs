// SPDX-License-Identifier: GPL-2.0

//! Threads of one process that contend for a lock, beside threads of another that only
//! compute, all on one CPU. Who is interrupted with the lock keeps the others from using their
//! share of the CPU, which goes to those who compute.
//!
//! Shape, fixed before anything was measured: as many threads here as there, 4; what a thread
//! does for itself and what it does with the lock is exponential, 20 us each on average, so
//! that it has the lock for half of its time.

use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use fastrand::Rng;

use crate::apart::{self, When};
use crate::arrivals::exponential;
use crate::cli::LocksArgs;
use crate::cpu::{self, Work};
use crate::hint::{Hint, Slots};
use crate::pieces;
use crate::seen::{all_of, Invocation};
use crate::setattr;

/// What the threads share.
struct Shared<'a> {
    args: &'a LocksArgs,
    lock: Mutex<()>,
    slots: Option<Slots>,
    when: When,
}

/// A thread; returns what became of each of its turns: how long it waited for the lock, and
/// how long all took.
fn contend(shared: &Shared, thread: u32) -> Result<Vec<Invocation>> {
    let Shared { args, when, .. } = shared;
    let compared = &args.apart.compared;
    let mut rng = Rng::with_seed(compared.seed ^ (u64::from(thread) << 32));
    let mut length_ns = |us: u64| exponential(&mut rng, us as f64 * 1e3) as u64;
    let mut done = Vec::new();

    cpu::pin(compared.cpu)?;
    setattr::own_slice(compared.slice_us)?;
    let hint = Hint::new(shared.slots.as_ref());
    when.await_begin();

    while !when.is_over() {
        let (private_ns, critical_ns) = (length_ns(args.work_us), length_ns(args.work_us));
        let due_ns = when.now_ns();

        Work::of(private_ns, when.rounds_per_s).run();
        let wanted_ns = when.now_ns();
        let guard = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
        hint.taken();
        let had_ns = when.now_ns();
        Work::of(critical_ns, when.rounds_per_s).run();
        drop(guard);
        hint.released();
        done.push(Invocation {
            length_ns: private_ns + critical_ns,
            wait_ns: had_ns - wanted_ns,
            duration_ns: when.now_ns() - due_ns,
        });
    }
    Ok(done)
}

/// All threads.
fn contend_all(args: &LocksArgs, when: When) -> Result<Vec<Invocation>> {
    let shared = Shared {
        args,
        lock: Mutex::new(()),
        slots: args.hint.then(Slots::open).transpose()?,
        when,
    };

    thread::scope(|scope| {
        let shared = &shared;
        let threads: Vec<_> =
            (0..args.threads).map(|thread| scope.spawn(move || contend(shared, thread))).collect();

        all_of(threads)
    })
}

/// Runs the threads and prints a line for each turn ("function"): its CPU time, how long it
/// waited for the lock and how long it took; and for each piece of what computes beside them.
pub fn locks(args: &LocksArgs) -> Result<()> {
    apart::run(
        &args.apart,
        |when| contend_all(args, when),
        |when| pieces::compute(args.threads, args.apart.compared.cpu, when),
    )
}
