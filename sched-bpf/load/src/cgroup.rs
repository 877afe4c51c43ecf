// SPDX-License-Identifier: GPL-2.0

//! Cgroups of the load.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{ensure, Context, Result};

/// Where the hierarchy is mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The path that a cgroup has for the kernel: from the root of the hierarchy.
pub fn kernel_path(cgroup: &Path) -> PathBuf {
    Path::new("/").join(cgroup.strip_prefix(ROOT).unwrap_or(cgroup))
}

/// Moves this process into a cgroup.
pub fn enter(cgroup: &Path) -> Result<()> {
    let procs = cgroup.join("cgroup.procs");

    fs::write(&procs, "0").with_context(|| format!("{}: cannot be entered", procs.display()))
}

/// Writes a number to a file of a cgroup.
fn set(cgroup: &Path, file: &str, value: u32) -> Result<()> {
    let file = cgroup.join(file);

    fs::write(&file, value.to_string())
        .with_context(|| format!("{}: {value} cannot be set", file.display()))
}

/// Two cgroups below one of their own; removed when dropped.
pub struct Groups {
    top: PathBuf,
    /// Where they are
    pub paths: [PathBuf; 2],
    /// The cpu controller was enabled in the root for them.
    enabled_in_root: bool,
}

impl Groups {
    /// Makes them below `top`. With a weight they are groups for the scheduler, and the first has
    /// this cpu.weight; without, it sees single tasks.
    pub fn create(top: &str, names: [&str; 2], weight: Option<u32>) -> Result<Self> {
        let root = Path::new(ROOT);
        let top = root.join(top);

        ensure!(root.join("cgroup.controllers").exists(), "{ROOT}: no cgroup2 file system");
        let mut groups =
            Self { paths: names.map(|name| top.join(name)), top, enabled_in_root: false };
        // Left by a load that was killed, or in use: then this fails below.
        groups.remove();
        groups.enabled_in_root = weight.is_some() && !has_cpu(root) && enable_cpu(root);
        make(&groups.top)?;
        let controlled = weight.is_some() && enable_cpu(&groups.top);
        groups.paths.iter().try_for_each(|path| make(path))?;
        if let Some(weight) = weight {
            ensure!(controlled, "{ROOT}: no cpu controller, so that groups have no weights");
            set(&groups.paths[0], "cpu.weight", weight)?;
        }
        Ok(groups)
    }

    fn remove(&self) {
        self.paths.iter().for_each(|path| remove(path));
        remove(&self.top);
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.remove();
        if self.enabled_in_root {
            let _ = fs::write(subtree_control(Path::new(ROOT)), "-cpu");
        }
    }
}

fn make(cgroup: &Path) -> Result<()> {
    let made = fs::create_dir(cgroup);

    made.with_context(|| format!("{}: cannot be made (is it in use?)", cgroup.display()))
}

/// Removes a cgroup, which can be busy for a moment after its last task has ended.
fn remove(path: &Path) {
    for _ in 0..20 {
        if fs::remove_dir(path).is_ok() || !path.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn subtree_control(cgroup: &Path) -> PathBuf {
    cgroup.join("cgroup.subtree_control")
}

fn has_cpu(cgroup: &Path) -> bool {
    fs::read_to_string(subtree_control(cgroup))
        .is_ok_and(|text| text.split_whitespace().any(|name| name == "cpu"))
}

fn enable_cpu(cgroup: &Path) -> bool {
    fs::write(subtree_control(cgroup), "+cpu").is_ok()
}
