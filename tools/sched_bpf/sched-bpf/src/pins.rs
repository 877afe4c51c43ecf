// SPDX-License-Identifier: GPL-2.0

//! Policies that are kept: links pinned in the BPF file system.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use nix::sys::statfs::{statfs, BPF_FS_MAGIC};

use crate::attach::{self, Attached};
use crate::cli::{DetachArgs, ReplaceArgs};
use crate::kernel;
use crate::link::Link;
use crate::run::say;

/// Where the BPF file system is mounted.
const BPFFS: &str = "/sys/fs/bpf";

/// Where kept policies are pinned.
pub const DIR: &str = "/sys/fs/bpf/sched_bpf";

/// Checks that links can be pinned.
pub fn require_bpffs() -> Result<()> {
    let fs_type = statfs(BPFFS).context(BPFFS)?.filesystem_type();

    ensure!(
        fs_type == BPF_FS_MAGIC,
        "{BPFFS}: no BPF file system there, which keeping a policy needs; mount it: \
         mount -t bpf none {BPFFS}"
    );
    Ok(())
}

/// Pins attached policies, all or none, and returns where.
pub fn keep(policies: Vec<Attached>) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();

    fs::create_dir_all(DIR).with_context(|| format!("{DIR}: cannot be made"))?;
    for policy in policies {
        let path = Path::new(DIR).join(format!("{}-{}", policy.name, policy.link_id));
        if let Err(e) = policy.link.pin(&path) {
            paths.iter().for_each(|path| drop(fs::remove_file(path)));
            return Err(e).with_context(|| format!("{}: cannot be pinned", path.display()));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// The paths of kept policies, in order.
pub fn all() -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(DIR) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("{DIR}: cannot be read")),
    };
    let mut paths = entries
        .map(|entry| Ok(entry.context(DIR)?.path()))
        .collect::<Result<Vec<_>>>()?;

    paths.sort();
    Ok(paths)
}

/// A pinned link.
pub struct Pinned {
    /// The link
    pub link: Link,
    /// Its number
    pub id: u32,
    /// Does it still keep a policy attached?
    pub attached: bool,
}

/// Opens the pinned link of a policy.
pub fn open(path: &Path) -> Result<Pinned> {
    let name = path.display();

    ensure!(
        fs::symlink_metadata(path).is_ok(),
        "{name}: no such pin; 'sched-bpf list' shows those below {DIR}"
    );
    let not_a_link = || format!("{name}: not a pinned BPF link");
    let link = Link::open(path).with_context(not_a_link)?;
    let info = link.info().with_context(not_a_link)?;
    let policy = link.policy()?;

    // One that was detached has no table any more, which would tell of what type it was.
    let info = info
        .filter(|info| info.map == 0 || policy.is_some())
        .with_context(|| format!("{name}: a BPF link, but not that of a policy"))?;
    Ok(Pinned {
        link,
        id: info.id,
        attached: policy.is_some(),
    })
}

/// The kept policy that is meant: by a path, a name in [`DIR`], or the number of its link.
fn find(pin: &Path) -> Result<PathBuf> {
    let path = path_of(pin);
    let Some(id) = pin.to_str().and_then(|pin| pin.parse::<u32>().ok()) else {
        return Ok(path);
    };
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(path);
    }

    all()?
        .into_iter()
        .find(|path| open(path).is_ok_and(|pinned| pinned.id == id))
        .with_context(|| {
            format!(
                "link {id}: nothing is kept by a link of this number; 'sched-bpf list' shows what \
                 is kept"
            )
        })
}

/// What a name on the command line stands for: a name alone is one in [`DIR`].
fn path_of(pin: &Path) -> PathBuf {
    if pin.components().count() == 1 && !pin.has_root() {
        Path::new(DIR).join(pin)
    } else {
        pin.to_path_buf()
    }
}

/// The number of a link: itself, or that of a pin.
pub fn link_id(which: &str) -> Result<u32> {
    match which.parse() {
        Ok(id) => {
            Link::by_id(id).map_err(|_| anyhow::anyhow!("no link of this number"))?;
            Ok(id)
        }
        Err(_) => Ok(open(&path_of(Path::new(which)))?.id),
    }
}

/// Detaches a kept policy. On return it is not asked any more.
fn detach_one(path: &Path) -> Result<()> {
    let pinned = open(path)?;

    // The last reference may be dropped later, so it is detached by force.
    if pinned.attached {
        pinned
            .link
            .detach()
            .with_context(|| format!("{}: cannot be detached", path.display()))?;
    }
    fs::remove_file(path).with_context(|| format!("{}: cannot be removed", path.display()))?;
    say(&if pinned.attached {
        format!("detached: {}", path.display())
    } else {
        format!("removed: {} (was detached before)", path.display())
    })
}

/// Detaches what was asked for. With several, a bad one does not stop the others.
pub fn detach(args: &DetachArgs) -> Result<()> {
    let Some(pin) = &args.pin else {
        let mut errors: Vec<String> = Vec::new();
        let paths = all()?;
        for path in &paths {
            if let Err(e) = detach_one(path) {
                errors.push(format!("{e:#}"));
            }
        }
        if !errors.is_empty() {
            bail!("not all were detached: {}", errors.join("; "));
        }
        return if paths.is_empty() {
            say(&format!("nothing is kept in {DIR}"))
        } else {
            Ok(())
        };
    };

    detach_one(&find(pin)?)
}

/// Gives a kept link another table: no question is asked of neither or of both.
pub fn replace(args: &ReplaceArgs) -> Result<()> {
    kernel::require_policies()?;
    let path = find(&args.pin)?;
    let pinned = open(&path)?;
    let name = path.display();
    let (id, own_name) = pinned
        .link
        .policy()?
        .with_context(|| format!("{name}: its policy was detached; nothing to replace"))?;

    let policies = match &args.file {
        Some(file) => attach::load_file(file, &args.policy)?,
        None => {
            let cgroup = sched_bpf_counters::policies()?
                .into_iter()
                .find(|policy| policy.id == id)
                .map_or(0, |policy| policy.cgroup);
            // As in protect.bpf.c; a kept policy is never that of a process.
            let (mode, own) = match cgroup {
                0 => (3, "protect_all"),
                _ => (2, "protect_cgroup"),
            };
            ensure!(
                own_name == own,
                "{name}: it is the policy {own_name}, and not {own}, which comes with sched-bpf \
                 and replaces one if no other FILE is given"
            );
            attach::load_protect(&args.policy, mode, 0, own)?
        }
    };
    let table = match &policies.tables[..] {
        [table] => table,
        several => several
            .iter()
            .find(|table| table.name == own_name)
            .with_context(|| {
                let names: Vec<_> = several.iter().map(|table| table.name.as_str()).collect();
                format!(
                    "the object has several policies, none named {own_name}: {}",
                    names.join(", ")
                )
            })?,
    };

    pinned
        .link
        .update(table.as_fd())
        .with_context(|| format!("{name}: the kernel did not replace it"))?;
    say(&format!("replaced: {name}, now {}", table.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        let path = |pin: &str| path_of(Path::new(pin));

        assert_eq!(path("a-1"), Path::new("/sys/fs/bpf/sched_bpf/a-1"));
        assert_eq!(path("/x/a-1"), Path::new("/x/a-1"));
        assert_eq!(path("x/a-1"), Path::new("x/a-1"));
    }

    #[test]
    fn no_such_pin() {
        let error = open(Path::new("/no/such/pin")).err().unwrap();
        assert!(error.to_string().starts_with("/no/such/pin: no such pin"));
    }
}
