// SPDX-License-Identifier: GPL-2.0

//! A command whose process exists before it is allowed to start.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{kill, SigSet, Signal};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{execvp, fork, pipe2, read, write, ForkResult, Pid};

use crate::signals::Signals;

/// A process that waits before it executes its command. It ends when this is dropped.
pub struct Waiting {
    /// Process id, which stays when the command is executed
    pub pid: Pid,
    start: Option<OwnedFd>,
    failure: File,
    name: String,
}

/// A process that executes its command.
pub struct Running {
    pid: Pid,
}

/// Why a command is not executed.
pub struct Failure {
    /// The message
    pub message: String,
    /// Exit status in the manner of a shell
    pub status: u8,
}

/// Make the process for `command`.
pub fn prepare(command: &[OsString], signals: &Signals) -> Result<Waiting> {
    let args: Vec<CString> = command
        .iter()
        .map(|arg| CString::new(arg.as_bytes()))
        .collect::<Result<_, _>>()
        .context("the command has an argument with a zero byte")?;
    let (started, start) = pipe2(OFlag::O_CLOEXEC).context("pipe")?;
    let (failure, failed) = pipe2(OFlag::O_CLOEXEC).context("pipe")?;
    let mask = signals.before();

    // SAFETY: there are no other threads, so the child may do what any process may.
    match unsafe { fork() }.context("fork")? {
        ForkResult::Child => {
            drop((start, failure));
            execute(&args, &started, &failed, mask);
        }
        ForkResult::Parent { child } => Ok(Waiting {
            pid: child,
            start: Some(start),
            failure: failure.into(),
            name: command[0].to_string_lossy().into_owned(),
        }),
    }
}

/// The child: waits for its start, then becomes the command.
fn execute(args: &[CString], started: &OwnedFd, failed: &OwnedFd, mask: SigSet) -> ! {
    if read(started, &mut [0]) == Ok(1) {
        let errno = match mask.thread_set_mask() {
            Ok(()) => execvp(&args[0], args).unwrap_err(),
            Err(errno) => errno,
        };
        let _ = write(failed, &(errno as i32).to_ne_bytes());
    }
    // SAFETY: ends the process; what the parent registered with atexit() is not for it.
    unsafe { libc::_exit(127) }
}

impl Waiting {
    /// Let the command be executed.
    pub fn start(mut self) -> Result<Result<Running, Failure>> {
        let start = self.start.take().context("started twice")?;
        File::from(start).write_all(&[0]).context("pipe")?;

        let mut errno = [0; 4];
        if self.failure.read_exact(&mut errno).is_err() {
            return Ok(Ok(Running { pid: self.pid }));
        }
        let errno = Errno::from_raw(i32::from_ne_bytes(errno));
        let _ = waitpid(self.pid, None);
        Ok(Err(Failure {
            message: format!(
                "command '{}' cannot be executed: {}",
                self.name,
                errno.desc()
            ),
            status: if errno == Errno::ENOENT { 127 } else { 126 },
        }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(start) = self.start.take() {
            // Never started: it reads the end of the pipe, and ends.
            drop(start);
            let _ = waitpid(self.pid, None);
        }
    }
}

impl Running {
    /// Pass a signal on.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Return the exit status as a shell does, if the command has ended.
    pub fn status(&self) -> Result<Option<u8>> {
        let status = waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).context("waitpid")?;

        Ok(exit_status(status))
    }
}

/// Convert to an exit status as a shell does; none if the process has not ended.
fn exit_status(status: WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => Some(code as u8),
        WaitStatus::Signaled(_, signal, _) => Some(128 + signal as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let pid = Pid::from_raw(1);

        assert_eq!(exit_status(WaitStatus::Exited(pid, 3)), Some(3));
        let killed = WaitStatus::Signaled(pid, Signal::SIGTERM, false);
        assert_eq!(exit_status(killed), Some(143));
        assert_eq!(exit_status(WaitStatus::StillAlive), None);
    }
}
