// SPDX-License-Identifier: GPL-2.0

//! Whom a policy protects, checked before anything is attached.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use nix::sys::statfs::{statfs, CGROUP2_SUPER_MAGIC};

use crate::cli::TargetArgs;

/// Inode number of the initial pid namespace (PID_NS_INIT_INO).
const INIT_PID_NS: u64 = 0xEFFFFFFC;

/// Whom to protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A thread
    Pid(i32),
    /// A process
    Tgid(i32),
    /// A cgroup, by id, and all below it
    Cgroup(u64),
    /// Every task
    All,
}

impl Target {
    /// The target that was asked for; none if none was.
    pub fn from_args(args: &TargetArgs) -> Result<Option<Self>> {
        Ok(if let Some(pid) = args.pid {
            Some(Self::pid(pid)?)
        } else if let Some(tgid) = args.tgid {
            Some(Self::tgid(tgid)?)
        } else if let Some(path) = &args.cgroup {
            Some(Self::cgroup(path)?)
        } else {
            args.all.then_some(Self::All)
        })
    }

    fn pid(pid: i32) -> Result<Self> {
        tgid_of(pid).with_context(|| format!("--pid {pid}"))?;
        require_init_pid_ns()?;
        Ok(Self::Pid(pid))
    }

    /// A process by its id.
    pub fn tgid(tgid: i32) -> Result<Self> {
        let found = tgid_of(tgid).with_context(|| format!("--tgid {tgid}"))?;
        ensure!(
            found == tgid,
            "--tgid {tgid}: a thread of process {found}; give --pid {tgid} or --tgid {found}"
        );
        require_init_pid_ns()?;
        Ok(Self::Tgid(tgid))
    }

    fn cgroup(path: &Path) -> Result<Self> {
        let name = path.display();
        let metadata = fs::metadata(path).with_context(|| format!("--cgroup {name}"))?;
        let fs_type = statfs(path).with_context(|| format!("--cgroup {name}"))?;

        ensure!(
            metadata.is_dir() && fs_type.filesystem_type() == CGROUP2_SUPER_MAGIC,
            "--cgroup {name}: not a cgroup; a directory of a cgroup2 file system is expected \
             (for example below /sys/fs/cgroup)"
        );

        // The id of a cgroup is its inode number.
        Ok(Self::Cgroup(metadata.ino()))
    }

    /// `mode` of the BPF program.
    pub fn mode(self) -> u32 {
        match self {
            Self::Pid(_) => 0,
            Self::Tgid(_) => 1,
            Self::Cgroup(_) => 2,
            Self::All => 3,
        }
    }

    /// `target` of the BPF program.
    pub fn id(self) -> u64 {
        match self {
            Self::Pid(id) | Self::Tgid(id) => u64::from(id.unsigned_abs()),
            Self::Cgroup(id) => id,
            Self::All => 0,
        }
    }

    /// The name of the policy: at most 15 characters, of those of a BPF object.
    pub fn policy_name(self) -> &'static str {
        match self {
            Self::Pid(_) => "protect_pid",
            Self::Tgid(_) => "protect_tgid",
            Self::Cgroup(_) => "protect_cgroup",
            Self::All => "protect_all",
        }
    }
}

/// The process that a thread belongs to, which says that there is one.
fn tgid_of(pid: i32) -> Result<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .context("no such process or thread")?;

    parse_tgid(&status).with_context(|| format!("/proc/{pid}/status: no Tgid line"))
}

fn parse_tgid(status: &str) -> Option<i32> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:"))?
        .trim()
        .parse()
        .ok()
}

/// The kernel compares ids of the initial namespace; ids of another one would
/// protect somebody else.
fn require_init_pid_ns() -> Result<()> {
    let path = "/proc/self/ns/pid";
    let ns = match fs::metadata(path) {
        Ok(metadata) => metadata.ino(),
        // A kernel without pid namespaces.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
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
    fn names_fit_the_table() {
        for target in [
            Target::Pid(1),
            Target::Tgid(1),
            Target::Cgroup(1),
            Target::All,
        ] {
            let name = target.policy_name();
            assert!(name.len() <= 15, "{name}");
            assert!(name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.'));
        }
    }

    #[test]
    fn tgid_line() {
        assert_eq!(parse_tgid("Name:\tx\nTgid:\t42\nPid:\t43\n"), Some(42));
        assert_eq!(parse_tgid("Name:\tx\n"), None);
    }

    #[test]
    fn no_such_process() {
        let error = Target::pid(i32::MAX).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "--pid 2147483647: no such process or thread"
        );
    }

    #[test]
    fn no_cgroup() {
        let error = |path: &str| format!("{:#}", Target::cgroup(Path::new(path)).unwrap_err());

        assert!(error("/proc/self").contains("--cgroup /proc/self: not a cgroup"));
        assert!(error("/no/such/dir").contains("No such file"));
    }

    #[test]
    fn no_target() {
        assert_eq!(Target::from_args(&TargetArgs::default()).unwrap(), None);
    }
}
