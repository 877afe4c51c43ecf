// SPDX-License-Identifier: GPL-2.0

//! Cgroups of loads.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{ensure, Context, Result};

/// Where the hierarchy is mounted.
pub const ROOT: &str = "/sys/fs/cgroup";
const NAME: &str = "sched_bpf_demo";

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
pub fn set(cgroup: &Path, file: &str, value: u32) -> Result<()> {
    let file = cgroup.join(file);

    fs::write(&file, value.to_string())
        .with_context(|| format!("{}: {value} cannot be set", file.display()))
}

/// The cgroups of a service and of hogs; removed when dropped.
pub struct Cgroups {
    demo: PathBuf,
    /// Of the service
    pub service: PathBuf,
    /// Of the hogs
    pub hogs: PathBuf,
    /// Both have the files of the cpu controller.
    pub controlled: bool,
    /// The cpu controller was switched on in the root for the demo.
    enabled_in_root: bool,
}

impl Cgroups {
    /// Makes them. With a weight both are groups for the scheduler, where there is a cpu
    /// controller, and it is the cpu.weight of the service; without, it sees single tasks.
    pub fn create(weight: Option<u32>) -> Result<Self> {
        let root = Path::new(ROOT);

        ensure!(
            root.join("cgroup.controllers").exists(),
            "{ROOT}: no cgroup2 file system there, which this needs"
        );
        let demo = root.join(NAME);
        let mut cgroups = Self {
            service: demo.join("service"),
            hogs: demo.join("hogs"),
            demo,
            controlled: false,
            enabled_in_root: false,
        };

        // Left by a demo that was killed, or in use: then this fails below.
        cgroups.remove();
        cgroups.enabled_in_root = weight.is_some() && !has_cpu(root) && enable_cpu(root);
        make(&cgroups.demo)?;
        cgroups.controlled = weight.is_some() && enable_cpu(&cgroups.demo);
        make(&cgroups.service)?;
        make(&cgroups.hogs)?;

        let Some(weight) = weight else {
            return Ok(cgroups);
        };
        if cgroups.controlled {
            set(&cgroups.service, "cpu.weight", weight)?;
        } else {
            eprintln!("sched-bpf-load: no cpu controller in {ROOT}: the groups have no weights");
        }
        Ok(cgroups)
    }

    fn remove(&self) {
        for path in [&self.service, &self.hogs, &self.demo] {
            remove(path);
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        self.remove();
        if self.enabled_in_root {
            let _ = fs::write(subtree_control(Path::new(ROOT)), "-cpu");
        }
    }
}

/// Cgroups of equal weight below one; removed when dropped.
pub struct Groups {
    top: PathBuf,
    count: u32,
    enabled_in_root: bool,
}

impl Groups {
    /// Makes so many below `name`.
    pub fn create(name: &str, count: u32) -> Result<Self> {
        let root = Path::new(ROOT);
        let mut groups = Self {
            top: root.join(name),
            count,
            enabled_in_root: false,
        };

        groups.remove();
        groups.enabled_in_root = !has_cpu(root) && enable_cpu(root);
        make(&groups.top)?;
        enable_cpu(&groups.top);
        groups.paths().try_for_each(|path| make(&path))?;
        Ok(groups)
    }

    /// Where they are.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        (0..self.count).map(|i| self.top.join(i.to_string()))
    }

    fn remove(&self) {
        self.paths().for_each(|path| remove(&path));
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
    fs::create_dir(cgroup).with_context(|| {
        format!(
            "{}: cannot be made (is another one running?)",
            cgroup.display()
        )
    })
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
