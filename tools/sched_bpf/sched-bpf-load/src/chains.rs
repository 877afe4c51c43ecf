// SPDX-License-Identifier: GPL-2.0

//! Requests that go through several threads, one after the other, in chains of which some
//! are busy at a time and the others sleep: which, changes all the time.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use nix::unistd;

use crate::cli::ChainsArgs;
use crate::cpu::{self, Work};
use crate::measure::Measures;

/// Is a chain busy?
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Asleep,
    Busy,
    Over,
}

/// What tells the first thread of a chain to go on.
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn new() -> Self {
        Self {
            state: Mutex::new(State::Asleep),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Sleeps while the chain is to sleep; returns whether it is to go on.
    fn pass(&self) -> bool {
        let mut state = self.lock();

        while *state == State::Asleep {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *state == State::Busy
    }
}

/// A pipe: its end to read from, and that to write to.
pub fn pipe() -> Result<(File, File)> {
    let (from, to) = unistd::pipe().context("pipe")?;

    Ok((from.into(), to.into()))
}

/// All ways to choose `busy` of `all` chains, in a fixed order.
fn choices(all: u32, busy: u32) -> Vec<u64> {
    (0..1_u64 << all)
        .filter(|set| set.count_ones() == busy)
        .collect()
}

/// Passes requests on, and works for each, until the one before closes its end.
fn serve(mut from: File, mut to: File, work: Work) {
    let mut request = [0];

    while from.read_exact(&mut request).is_ok() {
        work.run();
        if to.write_all(&request).is_err() {
            return;
        }
    }
}

/// Begins requests and waits for their end, while the chain is busy; returns how many.
fn begin(mut to: File, mut from: File, work: Work, gate: &Gate) -> u64 {
    let mut request = [0];
    let mut requests = 0;

    while gate.pass() {
        work.run();
        if to.write_all(&request).is_err() || from.read_exact(&mut request).is_err() {
            break;
        }
        requests += 1;
    }
    requests
}

/// The CPU that a chain is bound to, if it is: neighbours together.
fn place(args: &ChainsArgs, chain: u32) -> Option<usize> {
    let chains = args.chains as usize;

    args.pin
        .map(|cpus| chain as usize * (cpus as usize).min(chains) / chains)
}

/// Runs the chains and prints how many requests they served.
pub fn chains(args: &ChainsArgs) -> Result<()> {
    ensure!(
        args.busy <= args.chains,
        "--busy {}: at most as many as there are chains, {}",
        args.busy,
        args.chains
    );
    let work = Work::taking(Duration::from_micros(args.work_us));
    let gates: Vec<Gate> = (0..args.chains).map(|_| Gate::new()).collect();
    let choices = choices(args.chains, args.busy);
    let period = Duration::from_millis(args.period_ms);
    let start = Instant::now();

    let requests = thread::scope(|scope| -> Result<u64> {
        let mut first = Vec::new();

        for (chain, gate) in (0..args.chains).zip(&gates) {
            let cpu = place(args, chain);
            let pin = move || cpu.map_or(Ok(()), cpu::pin);
            let (mut from, to) = pipe()?;

            for _ in 1..args.threads {
                let (next, end) = pipe()?;
                let before = std::mem::replace(&mut from, next);

                scope.spawn(move || {
                    if pin().is_ok() {
                        serve(before, end, work);
                    }
                });
            }
            first.push(scope.spawn(move || {
                pin()?;
                Ok(begin(to, from, work, gate))
            }));
        }

        for set in choices.iter().cycle() {
            if start.elapsed() >= Duration::from_secs(args.seconds) {
                break;
            }
            for (chain, gate) in gates.iter().enumerate() {
                gate.set(if (set >> chain) & 1 == 1 {
                    State::Busy
                } else {
                    State::Asleep
                });
            }
            thread::sleep(period);
        }
        gates.iter().for_each(|gate| gate.set(State::Over));
        first
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Ok(0)))
            .sum()
    })?;

    let mut measures = Measures::default();
    measures.set("requests", requests);
    measures.set("wall_us", start.elapsed().as_micros() as u64);
    print!("{measures}");

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_once() {
        assert_eq!(
            choices(4, 2),
            [0b0011, 0b0101, 0b0110, 0b1001, 0b1010, 0b1100]
        );
        assert_eq!(choices(3, 3), [0b111]);
        assert_eq!(choices(16, 8).len(), 12870);
    }

    #[test]
    fn gate() {
        let gate = Gate::new();

        thread::scope(|scope| {
            let passed = scope.spawn(|| gate.pass());
            gate.set(State::Busy);
            assert!(passed.join().unwrap());
        });
        gate.set(State::Over);
        assert!(!gate.pass());
    }
}
