// SPDX-License-Identifier: GPL-2.0

//! SIGPIPE as it was when this program was started.
//!
//! The Rust runtime ignores it, which a command that is run would inherit, and which
//! makes a panic of a closed standard output.

use std::sync::atomic::{AtomicUsize, Ordering};

use nix::libc;

static INHERITED: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

extern "C" fn remember() {
    // SAFETY: sigaction() is valid for all bits zero, and only written here.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut action) == 0 {
            INHERITED.store(action.sa_sigaction, Ordering::Relaxed);
        }
    }
}

/// Run by the C library before the Rust runtime.
#[used]
#[link_section = ".init_array"]
static REMEMBER: extern "C" fn() = remember;

/// Undoes what the runtime did.
pub fn restore() {
    // SAFETY: what it was before main(): to ignore it, or the default.
    unsafe {
        libc::signal(libc::SIGPIPE, INHERITED.load(Ordering::Relaxed));
    }
}

/// For who writes to others that may not wait for it: that is an error then, and no end.
pub fn ignore() {
    // SAFETY: no handler is set.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}
