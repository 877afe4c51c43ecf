// SPDX-License-Identifier: GPL-2.0

//! Links that are pinned in the BPF file system, which outlive their process.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use nix::sys::statfs::{statfs, BPF_FS_MAGIC};
use serde::Serialize;

use crate::attach::{Attached, Spec};
use crate::link::Link;
use crate::state::Policy;
use crate::target::{Cgroup, Target};

/// Where the BPF file system is mounted.
const BPFFS: &str = "/sys/fs/bpf";

/// The directory of the pins.
pub const DIR: &str = "/sys/fs/bpf/sched_bpf";

/// Check that links can be pinned.
pub fn require_bpffs() -> Result<()> {
    let fs_type = statfs(BPFFS).context(BPFFS)?.filesystem_type();

    ensure!(
        fs_type == BPF_FS_MAGIC,
        "{BPFFS} is not a BPF file system, which --pin needs; mount it: mount -t bpf none {BPFFS}"
    );
    Ok(())
}

/// Pin attached policies, all or none, and return where.
pub fn pin(policies: &[Attached]) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();

    fs::create_dir_all(DIR).with_context(|| format!("{DIR} cannot be made"))?;
    for policy in policies {
        let path = Path::new(DIR).join(format!("{}-{}", policy.name, policy.id));
        if let Err(e) = policy.link.pin(&path) {
            paths.iter().for_each(|path| drop(fs::remove_file(path)));
            return Err(e).with_context(|| format!("{} cannot be pinned", path.display()));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// Return the paths of all pins, in order.
pub fn all() -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(DIR) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("{DIR} cannot be read")),
    };
    let mut paths =
        entries.map(|entry| Ok(entry.context(DIR)?.path())).collect::<Result<Vec<_>>>()?;

    paths.sort();
    Ok(paths)
}

/// A pinned link.
pub struct Pinned {
    link: Link,
    /// Its id
    pub id: u32,
    /// The policy that it keeps attached, if it still does
    pub policy: Option<Policy>,
}

/// A pin, as it is listed.
#[derive(Serialize)]
pub struct Pin {
    /// Its path
    pub pin: PathBuf,
    /// Id of the link, if it is one
    pub link: Option<u32>,
    /// True if the link keeps a policy attached
    pub attached: bool,
}

/// List all pins.
pub fn list() -> Result<Vec<Pin>> {
    Ok(all()?
        .into_iter()
        .map(|pin| {
            let pinned = open(&pin).ok();
            Pin {
                pin,
                link: pinned.as_ref().map(|pinned| pinned.id),
                attached: pinned.is_some_and(|pinned| pinned.policy.is_some()),
            }
        })
        .collect())
}

/// Open the pinned link of a policy.
pub fn open(path: &Path) -> Result<Pinned> {
    let name = path.display();

    ensure!(
        fs::symlink_metadata(path).is_ok(),
        "{name}: no such pin; 'sched-bpf list' shows those below {DIR}"
    );
    let link = Link::open(path).with_context(|| format!("{name}: not a pinned BPF link"))?;
    ensure!(link.is_struct_ops()?, "{name}: a BPF link, but not that of a policy");
    let (id, policy) = link.policy()?;
    Ok(Pinned { link, id, policy })
}

/// Find a pin: by a path, a name in [`DIR`], or the id of its link.
pub fn find(pin: &Path) -> Result<PathBuf> {
    let path = path_of(pin);
    let Some(id) = pin.to_str().and_then(|pin| pin.parse::<u32>().ok()) else {
        return Ok(path);
    };
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(path);
    }

    all()?.into_iter().find(|path| open(path).is_ok_and(|pinned| pinned.id == id)).with_context(
        || format!("link {id}: no pin is of a link with this id; 'sched-bpf list' shows the pins"),
    )
}

/// Return the path of a name on the command line: a name alone is in [`DIR`].
fn path_of(pin: &Path) -> PathBuf {
    if pin.components().count() == 1 && !pin.has_root() {
        Path::new(DIR).join(pin)
    } else {
        pin.to_path_buf()
    }
}

/// Return the id of a link: itself, or that of a pin.
pub fn link_id(which: &str) -> Result<u32> {
    match which.parse() {
        Ok(id) => {
            Link::by_id(id).map_err(|_| anyhow::anyhow!("no link with this id"))?;
            Ok(id)
        }
        Err(_) => Ok(open(&path_of(Path::new(which)))?.id),
    }
}

/// Detach a pinned policy and remove the pin. On return it is not called any more. False: it
/// was detached before.
pub fn detach(path: &Path) -> Result<bool> {
    let pinned = open(path)?;

    // The last reference may be dropped later, so it is detached by force.
    if pinned.policy.is_some() {
        pinned.link.detach().with_context(|| format!("{} cannot be detached", path.display()))?;
    }
    fs::remove_file(path).with_context(|| format!("{} cannot be removed", path.display()))?;
    Ok(pinned.policy.is_some())
}

/// Replace the policy of a pin without a gap, and return the name of the new one.
pub fn replace(path: &Path, spec: &Spec) -> Result<String> {
    let pinned = open(path)?;
    let name = path.display();
    let old = pinned
        .policy
        .with_context(|| format!("{name}: its policy was detached; there is nothing to replace"))?;
    // A pinned policy is never that of a task.
    let target = Target::Cgroup(Cgroup::root()?);
    let policies = spec.load(&target)?;
    let ops = match &policies.ops[..] {
        [ops] => ops,
        several => several.iter().find(|ops| ops.name == old.name).with_context(|| {
            let names: Vec<_> = several.iter().map(|ops| ops.name.as_str()).collect();
            format!(
                "the object has several policies, none named {}: {}",
                old.name,
                names.join(", ")
            )
        })?,
    };

    pinned
        .link
        .update(ops.as_fd())
        .with_context(|| format!("{name}: the kernel did not replace it"))?;
    Ok(ops.name.clone())
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
