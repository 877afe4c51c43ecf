// SPDX-License-Identifier: GPL-2.0

//! Attaches policies, and knows why one is not attached any more.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use libbpf_rs::libbpf_sys::{BPF_F_AFTER, BPF_F_BEFORE, BPF_F_PREORDER};
use nix::libc;

use crate::cli::{PlaceArgs, PolicyArgs};
use crate::kernel;
use crate::link::{Link, Place};
use crate::object::{Opened, Policies, Source};
use crate::pins;
use crate::target::{Cgroup, Target};

const NS_PER_MS: u64 = 1_000_000;

/// How long a task of "protect" keeps its CPU, unless told otherwise.
const CAP_MS: u64 = 10;

/// A policy that is attached for as long as this is there, unless it is pinned.
pub struct Attached {
    /// What keeps it attached
    pub link: Link,
    /// Number of the link
    pub link_id: u32,
    /// Number of the attachment
    pub id: u32,
    /// Name that the kernel shows
    pub name: String,
}

/// Why a policy was detached.
#[derive(PartialEq)]
pub enum Why {
    /// There is nothing any more that it was attached to
    CgroupRemoved(PathBuf),
    /// The kernel did not let it go on
    TookTooMuchTime,
    /// Somebody wanted so
    ByAnother,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::CgroupRemoved(path) => write!(f, "its cgroup {} was removed", path.display()),
            Self::TookTooMuchTime => write!(
                f,
                "it took too much time of a CPU (bound: {}/max_share)",
                sched_bpf_counters::KNOBS
            ),
            Self::ByAnother => {
                f.write_str("by another process, as with bpf_link_detach() or sched-bpf detach")
            }
        }
    }
}

/// Where policies are attached.
pub struct Where<'a> {
    /// To a cgroup, or to none
    pub cgroup: Option<&'a Cgroup>,
    /// Among others
    pub place: Place,
}

impl Place {
    /// What was asked for.
    pub fn from_args(args: &PlaceArgs) -> Result<Self> {
        let mut place = Self::default();

        for (which, flag, name) in [
            (&args.before, BPF_F_BEFORE, "--before"),
            (&args.after, BPF_F_AFTER, "--after"),
        ] {
            let Some(relative) = which else {
                continue;
            };
            place.flags |= flag;
            if let Some(link) = relative {
                let id = pins::link_id(link).with_context(|| format!("{name}={link}"))?;
                place.relative = Some(id);
            }
        }
        if args.preorder {
            place.flags |= BPF_F_PREORDER;
        }
        Ok(place)
    }

    /// Would several that are attached one after another stand the other way round?
    fn reverses(&self) -> bool {
        match self.relative {
            None => self.flags & BPF_F_BEFORE != 0,
            Some(_) => self.flags & BPF_F_AFTER != 0,
        }
    }
}

/// The length that --cap says, if the kernel allows it.
fn cap_ns(cap: Option<u64>) -> Result<u64> {
    let max = sched_bpf_counters::knob("max_slice_ns")?;
    let Some(ms) = cap else {
        return Ok(max.min(CAP_MS * NS_PER_MS));
    };
    let max_ms = max / NS_PER_MS;

    ensure!(
        (1..=max_ms).contains(&ms),
        "--cap {ms}: out of range; 1 to {max_ms} milliseconds are accepted \
         ({}/max_slice_ns)",
        sched_bpf_counters::KNOBS
    );
    Ok(ms * NS_PER_MS)
}

/// Loads a policy that protects `mode` and `number`.
pub fn load_protect(args: &PolicyArgs, mode: u32, number: i32, name: &str) -> Result<Policies> {
    let cap = cap_ns(args.cap)?;
    if let Some(set) = args.set.first() {
        bail!(
            "--set {}={}: the policy that comes with sched-bpf has no options but --cap; --set is \
             for those of a FILE",
            set.name,
            set.value
        );
    }
    let mut opened = Opened::open(Source::Protect)?;

    for (option, value) in [
        ("mode", mode.to_string()),
        ("target", number.to_string()),
        ("cap_ns", cap.to_string()),
    ] {
        opened.set(option, &value)?;
    }
    opened
        .load(Some(name), args.shadow)
        .with_context(|| format!("policy {name}"))
}

/// Loads the policies of a file.
pub fn load_file(path: &Path, args: &PolicyArgs) -> Result<Policies> {
    let load = || {
        ensure!(
            args.cap.is_none(),
            "it has no --cap, which is of the policy that comes with sched-bpf; --set sets \
             its own options"
        );
        let mut opened = Opened::open(Source::File(path))?;
        opened.set_all(&args.set)?;
        opened.load(None, args.shadow)
    };

    load().with_context(|| path.display().to_string())
}

/// Loads what was asked for: the policies of a file, or "protect".
pub fn load(file: Option<&Path>, args: &PolicyArgs, target: &Target) -> Result<Policies> {
    let Some(path) = file else {
        return load_protect(args, target.mode(), target.number(), target.policy_name());
    };

    ensure!(
        target.as_task().is_none(),
        "--pid and --tgid are of the policy that comes with sched-bpf; {} takes --cgroup or --all",
        path.display()
    );
    load_file(path, args)
}

/// Attaches what was asked for: the policies of a file, or "protect".
pub fn attach(
    file: Option<&Path>,
    args: &PolicyArgs,
    target: &Target,
    place: Place,
) -> Result<Vec<Attached>> {
    kernel::require_policies()?;
    let policies = load(file, args, target)?;
    let to = Where {
        cgroup: target.as_cgroup(),
        place,
    };
    attach_all(&policies, &to)
}

/// Attaches loaded policies, all or none.
pub fn attach_all(policies: &Policies, to: &Where) -> Result<Vec<Attached>> {
    let mut tables: Vec<_> = policies.tables.iter().collect();

    if to.place.reverses() {
        tables.reverse();
    }
    tables
        .into_iter()
        .map(|table| {
            let cgroup = to.cgroup.map(|cgroup| cgroup.as_fd());
            let link = Link::create(table.as_fd(), cgroup, &to.place)
                .map_err(|e| anyhow::anyhow!(why_not_attached(&e)))
                .with_context(|| format!("policy {}", table.name))?;
            let info = link.info().context("information on the link")?;
            let link_id = info.context("not the link of a table")?.id;
            let (id, name) = link.policy()?.with_context(|| {
                let name = &table.name;
                format!(
                    "policy {name}: detached at once; the kernel's log says if it took too \
                         much time"
                )
            })?;
            Ok(Attached {
                link,
                link_id,
                id,
                name,
            })
        })
        .collect()
}

fn why_not_attached(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::E2BIG) => {
            "the kernel has as many policies attached as it takes (64)".to_string()
        }
        Some(libc::EDQUOT) => "too many policies were attached by token".to_string(),
        Some(libc::EPERM) => {
            "not allowed: CAP_BPF and CAP_PERFMON are needed, or a token for this cgroup"
                .to_string()
        }
        Some(libc::ENOENT | libc::EINVAL) => format!(
            "the kernel did not attach it ({error}): the link that it is to stand before or \
             after must be attached to the same cgroup and be of the same --preorder"
        ),
        Some(libc::ENODEV) => "the cgroup has been removed".to_string(),
        _ => format!("the kernel did not attach it: {error}"),
    }
}

impl Attached {
    /// That it was detached, and why, for an error.
    pub fn how_detached(&self, cgroup: Option<&Cgroup>) -> String {
        format!(
            "policy {} was detached: {}",
            self.name,
            self.why_detached(cgroup)
        )
    }

    /// Why it is detached.
    pub fn why_detached(&self, cgroup: Option<&Cgroup>) -> Why {
        if let Some(cgroup) = cgroup.filter(|cgroup| cgroup.is_removed()) {
            return Why::CgroupRemoved(cgroup.path.clone());
        }
        let said = format!("policy {} (id {}) took too much time", self.name, self.id);
        if kernel_log().contains(&said) {
            return Why::TookTooMuchTime;
        }
        Why::ByAnother
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

/// What the kernel printed, as far as it still has it.
fn kernel_log() -> String {
    let mut log = String::new();
    let Ok(mut file) = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg")
    else {
        return log;
    };
    let mut record = [0; 8192];

    loop {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(len) => log.push_str(&String::from_utf8_lossy(&record[..len])),
            // Overwritten while it was read: the next one is there.
            Err(e) if e.raw_os_error() == Some(libc::EPIPE) => {}
            Err(_) => break,
        }
    }
    log
}
