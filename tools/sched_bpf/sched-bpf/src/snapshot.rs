// SPDX-License-Identifier: GPL-2.0

//! What is attached at one time, with what it answered and whom it is for.

use std::collections::BTreeMap;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::Result;
use libbpf_rs::btf::types::DataSec;
use libbpf_rs::btf::Btf;
use libbpf_rs::libbpf_sys as sys;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use sched_bpf_counters::{HookCounters, Policy};
use serde::Serialize;

use crate::cgroup::Names;
use crate::object;

/// A policy with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// What the kernel shows
    #[serde(flatten)]
    pub policy: Policy,
    /// Is it asked and not obeyed?
    pub shadow: bool,
    /// Whom it is for
    pub target: String,
    /// Its options: global constants that hold a number
    pub options: BTreeMap<String, i64>,
    /// What its hooks counted
    pub hooks: Vec<HookCounters>,
}

impl Seen {
    /// The cap of "protect", in milliseconds.
    pub fn cap_ms(&self) -> Option<f64> {
        self.options.get("cap_ns").map(|ns| *ns as f64 / 1e6)
    }

    /// Is it the policy that comes with this program?
    fn is_protect(policy: &Policy, options: &BTreeMap<String, i64>) -> bool {
        policy.name.starts_with("protect_")
            && ["cap_ns", "mode", "target"]
                .iter()
                .all(|name| options.contains_key(*name))
    }
}

/// All policies, by age.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Is any of them asked at all?
    pub enabled: bool,
    /// The policies
    pub policies: Vec<Seen>,
}

impl Snapshot {
    /// Takes one.
    pub fn take() -> Result<Self> {
        let policies = sched_bpf_counters::policies()?;
        let counters = sched_bpf_counters::read()?;
        let names = Names::of(policies.iter().map(|policy| policy.cgroup));

        Ok(Self {
            enabled: sched_bpf_counters::enabled()?,
            policies: policies
                .into_iter()
                .map(|policy| {
                    let hooks: Vec<_> = counters
                        .iter()
                        .filter(|c| c.id == policy.id)
                        .cloned()
                        .collect();
                    let options = hooks
                        .first()
                        .map(|hook| options(hook.prog))
                        .unwrap_or_default();
                    Seen {
                        shadow: policy.is_shadow(),
                        target: target(&policy, &options, &names),
                        policy,
                        options,
                        hooks,
                    }
                })
                .collect(),
        })
    }
}

fn target(policy: &Policy, options: &BTreeMap<String, i64>, names: &Names) -> String {
    if policy.cgroup != 0 {
        return match names.get(policy.cgroup) {
            Some(path) => path.display().to_string(),
            None => format!("cgroup {}", policy.cgroup),
        };
    }
    if Seen::is_protect(policy, options) {
        // As in protect.bpf.c.
        match options["mode"] {
            0 => return format!("thread {}", options["target"]),
            1 => return format!("process {}", options["target"]),
            _ => {}
        }
    }
    "system".to_string()
}

/// The constants that a loaded program was given; none if they cannot be read.
fn options(prog: u32) -> BTreeMap<String, i64> {
    read_options(prog).unwrap_or_default()
}

fn read_options(prog: u32) -> Option<BTreeMap<String, i64>> {
    let btf = (prog != 0).then(|| Btf::from_prog_id(prog).ok())??;
    let mut all = BTreeMap::new();

    for id in maps_of(prog)? {
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

/// The numbers of the maps that a program uses.
fn maps_of(prog: u32) -> Option<Vec<u32>> {
    // SAFETY: takes a number.
    let fd = unsafe { sys::bpf_prog_get_fd_by_id(prog) };
    if fd < 0 {
        return None;
    }
    // SAFETY: a new descriptor, which is nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut ids = vec![0u32; 64];
    let mut info = sys::bpf_prog_info {
        nr_map_ids: ids.len() as u32,
        map_ids: ids.as_mut_ptr() as u64,
        ..Default::default()
    };
    let mut size = mem::size_of_val(&info) as u32;

    // SAFETY: `info` is as large as `size` says, and `ids` as `nr_map_ids` does.
    let err = unsafe { sys::bpf_prog_get_info_by_fd(fd.as_raw_fd(), &mut info, &mut size) };
    if err != 0 {
        return None;
    }
    ids.truncate(info.nr_map_ids as usize);
    Some(ids)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// One policy with a hook, for tests of how it is shown.
    pub fn snapshot() -> Snapshot {
        let policies = sched_bpf_counters::parse_policies(
            "id name provider link map cgroup position preorder flags attached_ns module\n\
             7 protect_all bpf 3 9 0 0 0 1 12345678900 -\n",
        )
        .unwrap();
        let hooks = sched_bpf_counters::parse(
            "id name hook prog calls negative zero positive overruled overruled_slice \
             overruled_short differ timed time_ns max_ns\n\
             7 protect_all cfs_check_preempt_tick 3 5 4 1 0 2 2 0 8 0 0 0\n",
        )
        .unwrap();

        Snapshot {
            enabled: true,
            policies: policies
                .into_iter()
                .map(|policy| Seen {
                    shadow: policy.is_shadow(),
                    policy,
                    target: "system".into(),
                    options: [("cap_ns".to_string(), 2_500_000)].into(),
                    hooks: hooks.clone(),
                })
                .collect(),
        }
    }
}
