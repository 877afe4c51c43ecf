// SPDX-License-Identifier: GPL-2.0

//! Policies that are kept: links pinned in the BPF file system.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use libbpf_rs::query::LinkTypeInfo;
use libbpf_rs::{Link, MapCore, MapHandle};
use nix::sys::statfs::{statfs, BPF_FS_MAGIC};

use crate::cli::DetachArgs;
use crate::policy::{self, Policy};

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

/// Pins an attached policy and returns where.
pub fn keep(mut policy: Policy) -> Result<PathBuf> {
    let path = Path::new(DIR).join(format!("{}-{}", policy.name, policy.link_id));

    fs::create_dir_all(DIR).with_context(|| format!("{DIR}: cannot be made"))?;
    policy
        .link
        .pin(&path)
        .with_context(|| format!("{}: cannot be pinned", path.display()))?;

    Ok(path)
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

/// Opens the pinned link of a policy and returns it with its number.
pub fn open(path: &Path) -> Result<(Link, u32)> {
    let name = path.display();

    ensure!(
        fs::symlink_metadata(path).is_ok(),
        "{name}: no such pin; 'sched-bpf list' shows those below {DIR}"
    );
    let link = Link::open(path).with_context(|| format!("{name}: not a pinned BPF link"))?;
    let info = link.info().with_context(|| format!("{name}"))?;

    ensure!(
        is_policy(&info.info),
        "{name}: a BPF link, but not that of a policy of sched-bpf"
    );
    Ok((link, info.id))
}

/// Is this a link of our table? One that was detached has no table any more.
fn is_policy(info: &LinkTypeInfo) -> bool {
    let LinkTypeInfo::StructOps(info) = info else {
        return false;
    };

    info.map_id == 0
        || MapHandle::from_map_id(info.map_id).is_ok_and(|map| map.name() == policy::TABLE)
}

/// What a name on the command line stands for: a name alone is one in [`DIR`].
fn path_of(pin: &Path) -> PathBuf {
    if pin.components().count() == 1 && !pin.has_root() {
        Path::new(DIR).join(pin)
    } else {
        pin.to_path_buf()
    }
}

/// Detaches a kept policy. On return it is not asked any more.
fn detach_one(path: &Path) -> Result<()> {
    let (link, _) = open(path)?;

    // The last reference may be dropped later, so it is detached by force. That
    // fails if it has been already; then the pin is all there is to remove.
    let _ = link.detach();
    fs::remove_file(path).with_context(|| format!("{}: cannot be removed", path.display()))?;
    println!("detached: {}", path.display());

    Ok(())
}

/// Detaches what was asked for.
pub fn detach(args: &DetachArgs) -> Result<()> {
    match &args.pin {
        Some(pin) => detach_one(&path_of(pin)),
        None => all()?.iter().try_for_each(|path| detach_one(path)),
    }
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
