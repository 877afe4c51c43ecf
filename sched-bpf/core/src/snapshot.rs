// SPDX-License-Identifier: GPL-2.0

//! All attached policies at one time, with their targets and options.

use std::collections::BTreeMap;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use libbpf_rs::btf::types::DataSec;
use libbpf_rs::btf::Btf;
use libbpf_rs::libbpf_sys as sys;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use serde::Serialize;

use crate::cgroup::Names;
use crate::link::{done, order, owned, Link};
use crate::object;
use crate::ops::Layout;
use crate::state::{self, Policy};
use crate::target::Cgroup;

/// A policy with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// What the kernel shows
    #[serde(flatten)]
    pub policy: Policy,
    /// The tasks that it is for
    pub target: String,
    /// Its place in the evaluation order of its cgroup, from 0 on
    pub position: Option<usize>,
    /// Its options: global constants that hold a number
    pub options: BTreeMap<String, i64>,
}

/// All policies: those of links, oldest first, then those of modules.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// False if no policy is called
    pub enabled: bool,
    /// The policies
    pub policies: Vec<Seen>,
}

/// Read all attached policies: those of links, oldest first, then those of modules.
pub fn policies() -> Result<Vec<Policy>> {
    let mut all = Vec::new();

    state::require_knobs()?;
    for id in Link::ids().context("links (CAP_SYS_ADMIN is needed)")? {
        // It may have gone meanwhile.
        if let Ok(link) = Link::by_id(id) {
            all.extend(link.policy()?.1);
        }
    }
    all.extend(state::modules()?);
    Ok(all)
}

impl Snapshot {
    /// Take one.
    pub fn take() -> Result<Self> {
        let all = policies()?;
        let names = Names::of(all.iter().map(|policy| policy.cgroup));
        let layout = Layout::of_kernel().ok();

        Ok(Self {
            enabled: state::enabled()?,
            policies: all
                .into_iter()
                .map(|policy| {
                    let options = layout
                        .as_ref()
                        .and_then(|layout| options(layout, policy.map))
                        .unwrap_or_default();
                    Seen {
                        target: target(&policy, &options, &names),
                        position: position(&policy, &names),
                        options,
                        policy,
                    }
                })
                .collect(),
        })
    }
}

fn position(policy: &Policy, names: &Names) -> Option<usize> {
    let cgroup = Cgroup::open(names.get(policy.cgroup)?).ok()?;
    let order = order(cgroup.as_fd()).ok()?;

    order.iter().position(|map| *map == policy.map)
}

fn target(policy: &Policy, options: &BTreeMap<String, i64>, names: &Names) -> String {
    // As in protect.bpf.c.
    if policy.name.starts_with("protect_") {
        match (options.get("mode"), options.get("target")) {
            (Some(0), Some(tid)) => return format!("thread {tid}"),
            (Some(1), Some(pid)) => return format!("process {pid}"),
            _ => {}
        }
    }
    match names.get(policy.cgroup) {
        Some(path) => path.display().to_string(),
        None => format!("cgroup {}", policy.cgroup),
    }
}

/// Return the constants of the programs of the ops in a map.
fn options(layout: &Layout, map: u32) -> Option<BTreeMap<String, i64>> {
    let ops = MapHandle::from_map_id(map).ok()?;
    let value = ops.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??;
    let program = layout.program_in(&value)?;
    let btf = Btf::from_prog_id(program).ok()?;
    let mut all = BTreeMap::new();

    for id in maps_of(program)? {
        let map = MapHandle::from_map_id(id).ok()?;
        if !map.name().to_string_lossy().ends_with(".rodata") {
            continue;
        }
        let value = map.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??;
        let section = btf.type_by_name::<DataSec>(".rodata")?;
        for option in object::variables(&btf, &section) {
            if let Some(number) = option.decode(&value).and_then(|n| i64::try_from(n).ok()) {
                all.insert(option.name, number);
            }
        }
    }
    Some(all)
}

/// Return the ids of the maps that a program uses.
fn maps_of(program: u32) -> Option<Vec<u32>> {
    // SAFETY: takes a number.
    let fd = owned(unsafe { sys::bpf_prog_get_fd_by_id(program) }).ok()?;
    let mut ids = vec![0u32; 64];
    let mut info = sys::bpf_prog_info {
        nr_map_ids: ids.len() as u32,
        map_ids: ids.as_mut_ptr() as u64,
        ..Default::default()
    };
    let mut size = mem::size_of_val(&info) as u32;

    // SAFETY: `info` is as large as `size` says, and `ids` as `nr_map_ids` does.
    done(unsafe { sys::bpf_prog_get_info_by_fd(fd.as_raw_fd(), &mut info, &mut size) }).ok()?;
    ids.truncate(info.nr_map_ids as usize);
    Some(ids)
}
