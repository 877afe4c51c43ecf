// SPDX-License-Identifier: GPL-2.0

//! Cgroups: one for a command, those of systemd units, the paths of ids.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use procfs::process::Process;

/// Return where the default hierarchy (v2) is mounted.
pub fn root() -> Result<PathBuf> {
    let mounts =
        Process::myself().and_then(|this| this.mountinfo()).context("/proc/self/mountinfo")?;

    mounts
        .into_iter()
        .find(|mount| mount.fs_type == "cgroup2")
        .map(|mount| mount.mount_point)
        .context(
            "no cgroup2 file system is mounted; mount it: mount -t cgroup2 none /sys/fs/cgroup",
        )
}

/// Return the cgroup of this process.
fn own() -> Result<PathBuf> {
    let cgroups = Process::myself().and_then(|this| this.cgroups()).context("/proc/self/cgroup")?;
    let own = cgroups
        .into_iter()
        .find(|cgroup| cgroup.hierarchy == 0)
        .context("/proc/self/cgroup: no line of cgroup v2")?;

    Ok(root()?.join(own.pathname.trim_start_matches('/')))
}

/// A cgroup below that of this process, for a command and all that it starts. When it is
/// dropped, the tasks that are left in it move to its parent.
pub struct Transient {
    /// Its directory
    pub path: PathBuf,
    parent: PathBuf,
}

impl Transient {
    /// Make it.
    pub fn create() -> Result<Self> {
        let parent = own()?;
        let path = parent.join(format!("sched-bpf-run-{}", process::id()));
        let hint = "the command needs a cgroup of its own; give a target: --cgroup or --all";

        // Of one that was killed and had the same number.
        let _ = fs::remove_dir(&path);
        fs::create_dir(&path)
            .with_context(|| format!("{}: cannot be made: {hint}", path.display()))?;
        Ok(Self { path, parent })
    }

    /// Move a process into it.
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
        // Tasks that are left may start others meanwhile.
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

/// Return the directory of a systemd unit, relative to the root, by its slice.
fn unit_below(unit: &str, slice: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let whole = slice.strip_suffix(".slice").unwrap_or(slice);

    // "-.slice" is the root.
    if !whole.is_empty() && whole != "-" {
        for (at, _) in whole.match_indices('-').chain([(whole.len(), "")]) {
            path.push(format!("{}.slice", &whole[..at]));
        }
    }
    if unit != slice {
        path.push(unit);
    }
    path
}

/// Return the cgroup of a systemd unit, which exists while the unit is active.
pub fn of_unit(unit: &str) -> Result<PathBuf> {
    if unit.ends_with(".slice") {
        return Ok(root()?.join(unit_below(unit, unit)));
    }
    let output = process::Command::new("systemctl")
        .args(["show", "--property=ControlGroup,Slice,LoadState", "--", unit])
        .output()
        .context("systemctl cannot be executed; give the cgroup of the unit instead")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let property = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.strip_prefix('=')).unwrap_or("")
    };

    ensure!(
        property("LoadState") == "loaded",
        "systemd has no unit of this name; {}",
        match text.is_empty() {
            true => String::from_utf8_lossy(&output.stderr).trim().to_string(),
            false => "give one such as web.service".to_string(),
        }
    );
    Ok(root()?.join(match property("ControlGroup") {
        "" => unit_below(unit, property("Slice")),
        path => PathBuf::from(path.trim_start_matches('/')),
    }))
}

/// The directories of cgroups by their ids, which are inode numbers.
pub struct Names(HashMap<u64, PathBuf>);

impl Names {
    /// Look for these.
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

    /// Return a directory, if it is visible from here.
    pub fn get(&self, id: u64) -> Option<&Path> {
        self.0.get(&id).map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_below_their_slices() {
        let path = |unit, slice| unit_below(unit, slice).display().to_string();

        assert_eq!(path("a.service", "system.slice"), "system.slice/a.service");
        assert_eq!(path("x-y.slice", "x-y.slice"), "x.slice/x-y.slice");
        assert_eq!(path("a.service", "-.slice"), "a.service");
    }
}
