// SPDX-License-Identifier: GPL-2.0

//! Whom a policy is for, checked before anything is attached.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use nix::libc;
use nix::sys::statfs::{fstatfs, CGROUP2_SUPER_MAGIC};
use procfs::process::Process;

use crate::cli::TargetArgs;

/// Inode number of the initial pid namespace (PID_NS_INIT_INO).
const INIT_PID_NS: u64 = 0xEFFFFFFC;

/// `PIDFD_THREAD`: a thread, not its process.
const PIDFD_THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint;

/// A thread or a process. Its number may become another's once it has ended, which
/// its descriptor tells.
#[derive(Debug)]
pub struct Task {
    number: i32,
    pidfd: OwnedFd,
}

impl Task {
    fn open(number: i32, flags: libc::c_uint) -> Result<Self> {
        // SAFETY: takes numbers, and returns a descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, number, flags) };

        if fd < 0 {
            let error = io::Error::last_os_error();
            ensure!(
                error.raw_os_error() != Some(libc::ESRCH),
                "no such process or thread"
            );
            return Err(error).context("pidfd_open");
        }
        // SAFETY: a new descriptor, which is nobody else's.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd as i32) };

        Ok(Self { number, pidfd })
    }
}

impl AsFd for Task {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// A cgroup of the default hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    /// Its directory
    pub path: PathBuf,
    fd: OwnedFd,
}

impl Cgroup {
    /// Opens it.
    pub fn open(path: &Path) -> Result<Self> {
        const EXPECTED: &str = "a directory of a cgroup2 file system is expected, for example \
                                below /sys/fs/cgroup";
        ensure!(path.exists(), "there is none; {EXPECTED}");
        let fd: OwnedFd = fs::File::open(path)?.into();
        let fs_type = fstatfs(&fd)?.filesystem_type();

        ensure!(
            path.is_dir() && fs_type == CGROUP2_SUPER_MAGIC,
            "not a cgroup; {EXPECTED}"
        );
        Ok(Self {
            path: path.to_path_buf(),
            fd,
        })
    }

    /// The id that the kernel has of it.
    pub fn id(&self) -> Result<u64> {
        let stat = nix::sys::stat::fstat(&self.fd);

        Ok(stat
            .with_context(|| self.path.display().to_string())?
            .st_ino)
    }

    /// Has it been removed? Another one may have its name.
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

/// Whom a policy is for.
#[derive(Debug)]
pub enum Target {
    /// A thread
    Pid(Task),
    /// A process
    Tgid(Task),
    /// A cgroup and all below it
    Cgroup(Cgroup),
    /// Every task
    All,
}

impl Target {
    /// The target that was asked for; none if none was.
    pub fn from_args(args: &TargetArgs) -> Result<Option<Self>> {
        Ok(if let Some(pid) = args.pid {
            Some(Self::pid(pid).with_context(|| format!("--pid {pid}"))?)
        } else if let Some(tgid) = args.tgid {
            Some(Self::tgid(tgid).with_context(|| format!("--tgid {tgid}"))?)
        } else if let Some(path) = &args.cgroup {
            Some(Self::cgroup_of("--cgroup", path)?)
        } else {
            args.all.then_some(Self::All)
        })
    }

    fn pid(pid: i32) -> Result<Self> {
        let task = Task::open(pid, PIDFD_THREAD)?;

        require_init_pid_ns()?;
        Ok(Self::Pid(task))
    }

    fn tgid(tgid: i32) -> Result<Self> {
        let found = tgid_of(tgid).context("no such process or thread")?;
        ensure!(
            found == tgid,
            "a thread of process {found}; give --pid {tgid} or --tgid {found}"
        );
        let task = Task::open(tgid, 0)?;

        require_init_pid_ns()?;
        Ok(Self::Tgid(task))
    }

    /// A cgroup by its directory.
    pub fn cgroup(path: &Path) -> Result<Self> {
        Cgroup::open(path).map(Self::Cgroup)
    }

    /// The cgroup that an option of the command line names.
    pub fn cgroup_of(option: &str, path: &Path) -> Result<Self> {
        Self::cgroup(path).with_context(|| format!("{option} {}", path.display()))
    }

    /// The cgroup, if it is one.
    pub fn as_cgroup(&self) -> Option<&Cgroup> {
        match self {
            Self::Cgroup(cgroup) => Some(cgroup),
            _ => None,
        }
    }

    /// The thread or process, if it is one.
    pub fn as_task(&self) -> Option<&Task> {
        match self {
            Self::Pid(task) | Self::Tgid(task) => Some(task),
            _ => None,
        }
    }

    /// `mode` of the program "protect".
    pub fn mode(&self) -> u32 {
        match self {
            Self::Pid(_) => 0,
            Self::Tgid(_) => 1,
            Self::Cgroup(_) => 2,
            Self::All => 3,
        }
    }

    /// `target` of the program "protect".
    pub fn number(&self) -> i32 {
        self.as_task().map_or(0, |task| task.number)
    }

    /// The name of the policy "protect" for it: at most 15 characters, of those of a
    /// BPF object.
    pub fn policy_name(&self) -> &'static str {
        match self {
            Self::Pid(_) => "protect_pid",
            Self::Tgid(_) => "protect_tgid",
            Self::Cgroup(_) => "protect_cgroup",
            Self::All => "protect_all",
        }
    }
}

fn tgid_of(pid: i32) -> Result<i32> {
    Ok(Process::new(pid)?.status()?.tgid)
}

/// The kernel compares ids of the initial namespace; ids of another one would
/// protect somebody else.
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
         initial one: use --cgroup or --all, or run outside the container"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_such_process() {
        let args = TargetArgs {
            pid: Some(i32::MAX),
            ..Default::default()
        };
        let error = Target::from_args(&args).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "--pid 2147483647: no such process or thread"
        );
    }

    #[test]
    fn no_cgroup() {
        let error = |path: &str| format!("{:#}", Target::cgroup(Path::new(path)).unwrap_err());

        assert!(error("/proc/self").contains("not a cgroup"));
        assert!(error("/no/such/dir").contains("there is none; a directory"));
    }

    #[test]
    fn no_target() {
        assert!(Target::from_args(&TargetArgs::default()).unwrap().is_none());
    }
}
