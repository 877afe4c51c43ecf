// SPDX-License-Identifier: GPL-2.0

//! Targets of policies: a thread, a process, a cgroup, checked before anything is attached.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{ensure, Context, Result};
use nix::libc;
use nix::sys::statfs::{fstatfs, CGROUP2_SUPER_MAGIC};
use procfs::process::Process;

use crate::cgroup;

/// Inode number of the initial pid namespace (PID_NS_INIT_INO).
const INIT_PID_NS: u64 = 0xEFFFFFFC;

/// `PIDFD_THREAD`: a thread, not its process.
const PIDFD_THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint;

/// A thread or a process. Its id may be reused once it has ended, which its descriptor tells.
#[derive(Debug)]
pub struct Task {
    id: i32,
    pidfd: OwnedFd,
}

impl Task {
    fn open(id: i32, flags: libc::c_uint) -> Result<Self> {
        // SAFETY: takes numbers, and returns a descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) };

        if fd < 0 {
            let error = io::Error::last_os_error();
            ensure!(error.raw_os_error() != Some(libc::ESRCH), "no such process or thread");
            return Err(error).context("pidfd_open");
        }
        // SAFETY: a new descriptor, which has no other owner.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd as i32) };

        Ok(Self { id, pidfd })
    }
}

impl AsFd for Task {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// A cgroup of the default hierarchy.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Its directory
    pub path: PathBuf,
    fd: Rc<OwnedFd>,
}

impl Cgroup {
    /// Open it.
    pub fn open(path: &Path) -> Result<Self> {
        const EXPECTED: &str = "give a directory of a cgroup2 file system, such as one below \
                                /sys/fs/cgroup";
        ensure!(path.exists(), "does not exist; {EXPECTED}");
        let fd: OwnedFd = fs::File::open(path)?.into();
        let fs_type = fstatfs(&fd)?.filesystem_type();

        ensure!(path.is_dir() && fs_type == CGROUP2_SUPER_MAGIC, "not a cgroup; {EXPECTED}");
        Ok(Self { path: path.to_path_buf(), fd: Rc::new(fd) })
    }

    /// Open the root cgroup, for the whole system.
    pub fn root() -> Result<Self> {
        let path = cgroup::root()?;

        Self::open(&path).with_context(|| path.display().to_string())
    }

    /// Return its id.
    pub fn id(&self) -> Result<u64> {
        let stat = nix::sys::stat::fstat(&self.fd);

        Ok(stat.with_context(|| self.path.display().to_string())?.st_ino)
    }

    /// Return true if it was removed. There may be another one of its name.
    pub fn is_removed(&self) -> bool {
        let own = self.id();
        let there = fs::metadata(&self.path).map(|metadata| metadata.ino());

        !matches!((own, there), (Ok(own), Ok(there)) if own == there)
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a policy is for.
#[derive(Debug)]
pub enum Target {
    /// A thread
    Tid(Task),
    /// A process
    Pid(Task),
    /// A cgroup and all below it
    Cgroup(Cgroup),
}

impl Target {
    /// A thread by its id.
    pub fn tid(tid: i32) -> Result<Self> {
        let task = Task::open(tid, PIDFD_THREAD)?;

        require_init_pid_ns()?;
        Ok(Self::Tid(task))
    }

    /// A process by its id.
    pub fn pid(pid: i32) -> Result<Self> {
        let found = Process::new(pid)
            .and_then(|process| process.status())
            .context("no such process or thread")?
            .tgid;
        ensure!(found == pid, "a thread of process {found}; give --tid {pid} or --pid {found}");
        let task = Task::open(pid, 0)?;

        require_init_pid_ns()?;
        Ok(Self::Pid(task))
    }

    /// Return the cgroup to attach to: the root for a task.
    pub fn place(&self) -> Result<Cgroup> {
        match self {
            Self::Cgroup(cgroup) => Ok(cgroup.clone()),
            _ => Cgroup::root(),
        }
    }

    /// Return the task, if it is one.
    pub fn as_task(&self) -> Option<&Task> {
        match self {
            Self::Tid(task) | Self::Pid(task) => Some(task),
            Self::Cgroup(_) => None,
        }
    }

    /// Return `mode` of the program "protect".
    pub fn mode(&self) -> u32 {
        match self {
            Self::Tid(_) => 0,
            Self::Pid(_) => 1,
            Self::Cgroup(_) => 2,
        }
    }

    /// Return `target` of the program "protect".
    pub fn number(&self) -> i32 {
        self.as_task().map_or(0, |task| task.id)
    }

    /// Return a name for the policy "protect".
    pub fn policy_name(&self) -> &'static str {
        match self {
            Self::Tid(_) => "protect_tid",
            Self::Pid(_) => "protect_pid",
            Self::Cgroup(_) => "protect_cgroup",
        }
    }
}

/// The kernel compares ids of the initial namespace; those of another would match other tasks.
fn require_init_pid_ns() -> Result<()> {
    let path = "/proc/self/ns/pid";
    let ns = match fs::metadata(path) {
        Ok(metadata) => metadata.ino(),
        // A kernel without pid namespaces.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).context(path),
    };

    ensure!(
        ns == INIT_PID_NS,
        "process ids here are those of a pid namespace ({ns}); the policy needs those of the \
         initial one: give --cgroup or run outside the container"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_such_process() {
        let error = Target::tid(i32::MAX).unwrap_err();
        assert_eq!(error.to_string(), "no such process or thread");
    }

    #[test]
    fn no_such_cgroup() {
        let error = |path: &str| format!("{:#}", Cgroup::open(Path::new(path)).unwrap_err());

        assert!(error("/proc/self").contains("not a cgroup"));
        assert!(error("/no/such/dir").contains("does not exist; give a directory"));
    }
}
