// SPDX-License-Identifier: GPL-2.0

//! Cgroups: one for a command, and the names of those that policies are attached to.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use procfs::process::Process;

/// Where the default hierarchy (v2) is mounted.
pub fn root() -> Result<PathBuf> {
    let mounts = Process::myself()
        .and_then(|this| this.mountinfo())
        .context("/proc/self/mountinfo")?;

    mounts
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2")
        .map(|mount| mount.mount_point)
        .context(
            "no cgroup2 file system is mounted; mount it: mount -t cgroup2 none /sys/fs/cgroup",
        )
}

/// The cgroup of this process.
fn own() -> Result<PathBuf> {
    let cgroups = Process::myself()
        .and_then(|this| this.cgroups())
        .context("/proc/self/cgroup")?;
    let own = cgroups
        .into_iter()
        .find(|cgroup| cgroup.hierarchy == 0)
        .context("/proc/self/cgroup: no line of cgroup v2")?;

    Ok(root()?.join(own.pathname.trim_start_matches('/')))
}

/// A cgroup below that of this process, for a command and all that it starts. When
/// dropped, what is left in it goes back to where it would have been.
pub struct Transient {
    /// Its directory
    pub path: PathBuf,
    parent: PathBuf,
}

impl Transient {
    /// Makes it.
    pub fn create() -> Result<Self> {
        let parent = own()?;
        let path = parent.join(format!("sched-bpf-run-{}", process::id()));
        let hint = "the command needs a cgroup of its own; give another target: --cgroup or --all";

        // Of one that was killed and had the same number.
        let _ = fs::remove_dir(&path);
        fs::create_dir(&path)
            .with_context(|| format!("{}: cannot be made: {hint}", path.display()))?;
        Ok(Self { path, parent })
    }

    /// Moves a process into it.
    pub fn add(&self, pid: i32) -> Result<()> {
        move_to(&self.path, pid)
    }
}

fn move_to(cgroup: &Path, pid: i32) -> Result<()> {
    let procs = cgroup.join("cgroup.procs");

    fs::write(&procs, pid.to_string())
        .with_context(|| format!("{}: process {pid} cannot be moved there", procs.display()))
}

impl Drop for Transient {
    fn drop(&mut self) {
        // What is left may start others meanwhile.
        for _ in 0..20 {
            let left = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
            for pid in left.lines().filter_map(|line| line.parse().ok()) {
                let _ = move_to(&self.parent, pid);
            }
            if fs::remove_dir(&self.path).is_ok() || !self.path.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The directories of cgroups by their ids, which are inode numbers.
pub struct Names(HashMap<u64, PathBuf>);

impl Names {
    /// Looks for these.
    pub fn of(ids: impl Iterator<Item = u64>) -> Self {
        let mut wanted: Vec<u64> = ids.filter(|id| *id != 0).collect();
        let mut found = HashMap::new();
        let mut todo: Vec<PathBuf> = root().into_iter().collect();

        wanted.sort_unstable();
        wanted.dedup();
        while let Some(dir) = todo.pop() {
            if found.len() == wanted.len() {
                break;
            }
            if let Ok(metadata) = fs::metadata(&dir) {
                if wanted.binary_search(&metadata.ino()).is_ok() {
                    found.insert(metadata.ino(), dir.clone());
                }
            }
            let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
            todo.extend(
                entries
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .map(|entry| entry.path()),
            );
        }
        Self(found)
    }

    /// Its directory, if it is seen from here.
    pub fn get(&self, id: u64) -> Option<&Path> {
        self.0.get(&id).map(PathBuf::as_path)
    }
}
