// SPDX-License-Identifier: GPL-2.0

//! Loads and attaches policies, and tells why one is not in force any more.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use libbpf_rs::libbpf_sys::{BPF_F_AFTER, BPF_F_BEFORE};
use nix::libc;

use crate::link::{Link, Place};
use crate::object::{Opened, Policies, Setting, Source};
use crate::state;
use crate::target::{Cgroup, Target};

/// Limit of the run time of a protected task, unless told otherwise.
const CAP: Duration = Duration::from_millis(10);

/// A policy to be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Its object
    pub source: Source,
    /// Limit of the run time of a protected task, of "protect" only
    pub cap: Option<Duration>,
    /// Its options
    pub set: Vec<Setting>,
    /// Call and count it, apply nothing
    pub shadow: bool,
}

/// An attached policy; it is detached when this is dropped, unless it is pinned.
pub struct Attached {
    /// Its link
    pub link: Link,
    /// Id of the link
    pub id: u32,
    /// Name that the kernel shows
    pub name: String,
    cgroup: Cgroup,
}

/// Whether a policy is in force.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It is
    InForce,
    /// It was over its time budget; its link is still there
    Disabled,
    /// Its cgroup was removed
    CgroupRemoved(PathBuf),
    /// Another process detached it
    Detached,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::InForce => f.write_str("is in force"),
            Self::Disabled => write!(
                f,
                "was disabled: it took more CPU time than {}/max_share allows",
                state::KNOBS
            ),
            Self::CgroupRemoved(path) => {
                write!(f, "was detached: its cgroup {} was removed", path.display())
            }
            Self::Detached => f.write_str("was detached by another process"),
        }
    }
}

impl Place {
    /// Return true if policies that are attached one after another would stand the other way
    /// round.
    fn reverses(&self) -> bool {
        match self.relative {
            None => self.flags & BPF_F_BEFORE != 0,
            Some(_) => self.flags & BPF_F_AFTER != 0,
        }
    }
}

/// Return the limit of --cap, if the kernel allows it.
fn cap_ns(cap: Option<Duration>) -> Result<u64> {
    let max = Duration::from_nanos(state::knob("max_slice_ns")?);
    let Some(cap) = cap else {
        return Ok(max.min(CAP).as_nanos() as u64);
    };

    ensure!(
        (Duration::from_micros(100)..=max).contains(&cap),
        "--cap {}: out of range; give 100us to {} ({}/max_slice_ns)",
        humantime::format_duration(cap),
        humantime::format_duration(max),
        state::KNOBS
    );
    Ok(cap.as_nanos() as u64)
}

impl Spec {
    /// Load it for a target.
    pub fn load(&self, target: &Target) -> Result<Policies> {
        let source = self.source.name();

        if self.source.is_protect() {
            return self.load_protect(target).with_context(|| format!("policy {source}"));
        }
        let load = || {
            ensure!(self.cap.is_none(), "it has no --cap; --set sets its options");
            ensure!(
                target.as_task().is_none(),
                "--tid and --pid are for the policy protect; give --cgroup, --unit or --all"
            );
            let mut opened = Opened::open(&self.source)?;
            opened.set_all(&self.set)?;
            opened.load(None, self.shadow)
        };
        load().with_context(|| source)
    }

    fn load_protect(&self, target: &Target) -> Result<Policies> {
        let cap = cap_ns(self.cap)?;
        if let Some(set) = self.set.first() {
            bail!("--set {}={}: it has no options but --cap", set.name, set.value);
        }
        let mut opened = Opened::open(&self.source)?;

        for (option, value) in [
            ("mode", target.mode().to_string()),
            ("target", target.number().to_string()),
            ("cap_ns", cap.to_string()),
        ] {
            opened.set(option, &value)?;
        }
        opened.load(Some(target.policy_name()), self.shadow)
    }
}

/// Attach loaded policies to a cgroup, all or none.
pub fn attach(policies: &Policies, cgroup: &Cgroup, place: &Place) -> Result<Vec<Attached>> {
    let mut all: Vec<_> = policies.ops.iter().collect();

    if place.reverses() {
        all.reverse();
    }
    all.into_iter()
        .map(|ops| {
            let attach = || -> Result<Attached> {
                let link = Link::create(ops.as_fd(), cgroup.as_fd(), place)
                    .map_err(|e| anyhow::anyhow!(why_not_attached(&e)))?;
                let (id, policy) = link.policy()?;
                let policy = policy.context("detached at once: its cgroup was removed")?;
                Ok(Attached { link, id, name: policy.name, cgroup: cgroup.clone() })
            };
            attach().with_context(|| format!("policy {}", ops.name))
        })
        .collect()
}

fn why_not_attached(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::E2BIG) => "the cgroup has 64 policies already, which is the limit".to_string(),
        Some(libc::EPERM) => "not allowed: CAP_BPF and CAP_PERFMON are needed".to_string(),
        Some(libc::ENOENT | libc::EINVAL) => format!(
            "the kernel did not attach it ({error}): the link of --before or --after must be of \
             the same cgroup and of the same --preorder"
        ),
        Some(libc::ENODEV) => "the cgroup was removed".to_string(),
        _ => format!("the kernel did not attach it: {error}"),
    }
}

impl Attached {
    /// Replace its ops; place and link are kept.
    pub fn update(&mut self, policies: &Policies) -> Result<()> {
        let [ops] = &policies.ops[..] else {
            bail!("the object has {} policies; a link has one", policies.ops.len());
        };

        self.link
            .update(ops.as_fd())
            .with_context(|| format!("policy {}: the kernel did not replace it", ops.name))?;
        self.name.clone_from(&ops.name);
        Ok(())
    }

    /// Ask the kernel about the link whether the policy is in force.
    pub fn condition(&self) -> Result<Condition> {
        Ok(match self.link.policy()?.1 {
            Some(policy) if policy.is_disabled() => Condition::Disabled,
            Some(_) => Condition::InForce,
            None if self.cgroup.is_removed() => Condition::CgroupRemoved(self.cgroup.path.clone()),
            None => Condition::Detached,
        })
    }
}

impl AsFd for Attached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
