// SPDX-License-Identifier: GPL-2.0

//! Signals that end a load. They end its children only: what waits for these fails then, and
//! all settings and policies are undone on the way out.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::{ensure, Result};
use nix::libc;
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};

/// The process ids of children, 0 for none.
static CHILDREN: [AtomicI32; 64] = [const { AtomicI32::new(0) }; 64];

static CAME: AtomicBool = AtomicBool::new(false);

/// Notes the signal. Calls only functions that a handler may call.
extern "C" fn note(_: libc::c_int) {
    CAME.store(true, Ordering::SeqCst);
    for child in &CHILDREN {
        let pid = child.load(Ordering::SeqCst);
        if pid > 0 {
            // SAFETY: takes numbers; the child has not been waited for.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }
}

/// Handles the signals that end a program. Programs that are executed do not inherit that.
pub fn handle() {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());

    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler calls only functions that a handler may call.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

/// Fails if a signal came.
pub fn check() -> Result<()> {
    ensure!(!CAME.load(Ordering::SeqCst), "interrupted by a signal");
    Ok(())
}

/// Notes a child, which a signal ends.
pub fn add(pid: u32) {
    let free = |slot: &&AtomicI32| {
        slot.compare_exchange(0, pid as i32, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    };
    let _ = CHILDREN.iter().find(free);
}

/// Forgets a child, before it is waited for.
pub fn remove(pid: u32) {
    for slot in &CHILDREN {
        let _ = slot.compare_exchange(pid as i32, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::child::Child;

    /// A signal ends the children, so that what waits for them fails instead of waiting.
    #[test]
    fn a_signal_ends_children() {
        handle();
        let child = Child::spawn("sleeper", Command::new("sleep").arg("100")).unwrap();
        nix::sys::signal::raise(Signal::SIGTERM).unwrap();
        assert!(child.output().is_err());
        assert!(check().is_err());
        CAME.store(false, Ordering::SeqCst);
    }
}
