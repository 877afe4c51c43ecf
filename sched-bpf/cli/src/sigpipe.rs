// SPDX-License-Identifier: GPL-2.0

//! SIGPIPE as it was when this program was started.
//!
//! The Rust runtime ignores it. A command would inherit that, and a closed standard output
//! would become an error.

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

/// Undo what the runtime did.
pub fn restore() {
    // SAFETY: what it was before main(): to ignore it, or the default.
    unsafe {
        libc::signal(libc::SIGPIPE, INHERITED.load(Ordering::Relaxed));
    }
}
