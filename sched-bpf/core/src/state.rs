// SPDX-License-Identifier: GPL-2.0

//! What the kernel shows of attached policies: state, counters, tunables.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{bail, Context, Result};
use serde::Serialize;

/// Policies of kernel modules.
const MODULES: &str = "/sys/kernel/debug/sched/bpf/modules";

/// The directory of the tunables.
pub const KNOBS: &str = "/sys/module/bpf_sched/parameters";

/// Counters of one hook of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// Its name
    pub hook: String,
    /// Calls
    pub calls: u64,
    /// Return values below zero
    pub negative: u64,
    /// Return values above zero
    pub positive: u64,
    /// Return values that the kernel did not apply, by reason
    pub rejected: BTreeMap<String, u64>,
    /// Return values of a policy in shadow mode that would have changed the default
    pub differ: u64,
}

impl Hook {
    /// Return values of zero.
    pub fn zero(&self) -> u64 {
        self.calls.saturating_sub(self.negative + self.positive)
    }

    /// Return values that the kernel did not apply.
    pub fn all_rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Subtract what was counted before.
    pub fn since(&self, before: &Self) -> Self {
        let rejected = |(reason, count): (&String, &u64)| {
            let old = before.rejected.get(reason).copied().unwrap_or_default();
            (reason.clone(), count.saturating_sub(old))
        };

        Self {
            hook: self.hook.clone(),
            calls: self.calls.saturating_sub(before.calls),
            negative: self.negative.saturating_sub(before.negative),
            positive: self.positive.saturating_sub(before.positive),
            rejected: self.rejected.iter().map(rejected).collect(),
            differ: self.differ.saturating_sub(before.differ),
        }
    }

    /// Parse pairs of a name and a number.
    fn parse(hook: &str, text: &str) -> Result<Self> {
        let mut counters = Self { hook: hook.to_string(), ..Self::default() };
        let mut words = text.split_whitespace();

        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let value =
                value.parse().with_context(|| format!("{hook}: {name} '{value}': not a number"))?;
            match name {
                "calls" => counters.calls = value,
                "negative" => counters.negative = value,
                "positive" => counters.positive = value,
                "differ" => counters.differ = value,
                _ => {
                    if let Some(reason) = name.strip_prefix("rejected_") {
                        counters.rejected.insert(reason.to_string(), value);
                    }
                }
            }
        }
        Ok(counters)
    }
}

/// An attached policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Name in its ops
    pub name: String,
    /// `enabled`, `shadow` or `disabled`
    pub state: String,
    /// Id of its link, 0 for a module
    pub link: u32,
    /// Id of the map that holds its ops, 0 for a module
    pub map: u32,
    /// Id of the cgroup that it is attached to
    pub cgroup: u64,
    /// The kernel module, if one registered it
    pub module: Option<String>,
    /// Its hooks
    pub hooks: Vec<Hook>,
}

impl Policy {
    /// Return true if it is called and its return values are not applied.
    pub fn is_shadow(&self) -> bool {
        self.state == "shadow"
    }

    /// Return true if it exceeded its time budget and is not called any more.
    pub fn is_disabled(&self) -> bool {
        self.state == "disabled"
    }

    /// Return true if both are the same attachment with the same ops.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.link, self.map, &self.module, &self.name)
            == (other.link, other.map, &other.module, &other.name)
    }

    /// All calls of its hooks.
    pub fn calls(&self) -> u64 {
        self.hooks.iter().map(|hook| hook.calls).sum()
    }
}

/// Parse fdinfo of a link: its id, and its policy if it has one.
pub fn parse_link(text: &str) -> Result<(u32, Option<Policy>)> {
    let mut policy = Policy::default();

    for line in text.lines() {
        policy.take(line)?;
    }
    Ok((policy.link, (!policy.name.is_empty()).then_some(policy)))
}

impl Policy {
    /// Take a line of a name, a colon and a value.
    fn take(&mut self, line: &str) -> Result<()> {
        let Some((key, value)) = line.split_once(':') else {
            return Ok(());
        };
        let value = value.trim();
        let number = || value.parse::<u64>().with_context(|| format!("line '{line}'"));

        match key {
            "link_id" => self.link = number()? as u32,
            "map_id" => self.map = number()? as u32,
            "cgroup_id" => self.cgroup = number()?,
            "module" => self.module = Some(value.to_string()),
            "policy" => self.name = value.to_string(),
            "state" => self.state = value.to_string(),
            _ if value.starts_with("calls ") => self.hooks.push(Hook::parse(key, value)?),
            _ => {}
        }
        Ok(())
    }
}

/// Parse the policies of modules, each of which begins with the name of its module.
fn parse_modules(text: &str) -> Result<Vec<Policy>> {
    let mut all: Vec<Policy> = Vec::new();

    for line in text.lines() {
        if line.starts_with("module:") {
            all.push(Policy::default());
        }
        if let Some(policy) = all.last_mut() {
            policy.take(line)?;
        }
    }
    Ok(all)
}

/// Read the policies of modules; none without debugfs or without support for modules.
pub(crate) fn modules() -> Result<Vec<Policy>> {
    match fs::read_to_string(MODULES) {
        Ok(text) => parse_modules(&text).context(MODULES),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e).context(MODULES),
    }
}

/// Check that the kernel has the hooks.
pub(crate) fn require_knobs() -> Result<()> {
    if !Path::new(KNOBS).exists() {
        bail!(
            "{KNOBS} does not exist: this kernel has no scheduler hooks for BPF; boot one that \
             was built with CONFIG_BPF_SCHED"
        );
    }
    Ok(())
}

/// Read a tunable.
pub fn knob(name: &str) -> Result<u64> {
    let path = format!("{KNOBS}/{name}");

    require_knobs()?;
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    text.trim().parse().with_context(|| format!("{path}: '{}' is not a number", text.trim()))
}

/// Return true if policies are called at all.
pub fn enabled() -> Result<bool> {
    let path = format!("{KNOBS}/enabled");

    require_knobs()?;
    Ok(fs::read_to_string(&path).context(path)?.trim() == "Y")
}

/// Turn all policies on or off.
pub fn enable(on: bool) -> Result<()> {
    let path = format!("{KNOBS}/enabled");

    require_knobs()?;
    fs::write(&path, if on { "1" } else { "0" }).context(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub const FDINFO: &str = "pos:\t0\nflags:\t02000000\nlink_type:\tstruct_ops\nlink_id:\t7\n\
        map_id:\t9\ncgroup_id:\t1\npolicy:\tprotect\nstate:\tshadow\n\
        cfs_slice:\tcalls 12 negative 0 positive 3 rejected_slice 1 differ 2\n";

    #[test]
    fn fdinfo_of_a_link() {
        let (id, policy) = parse_link(FDINFO).unwrap();
        let policy = policy.unwrap();

        assert_eq!((id, policy.map, policy.cgroup), (7, 9, 1));
        assert!(policy.name == "protect" && policy.is_shadow() && !policy.is_disabled());
        let hook = &policy.hooks[0];
        assert_eq!((hook.zero(), hook.all_rejected(), hook.differ), (9, 1, 2));
        assert_eq!(hook.rejected["slice"], 1);
    }

    #[test]
    fn fdinfo_without_policy() {
        let text = "link_type:\tstruct_ops\nlink_id:\t7\nmap_id:\t0\ncgroup_id:\t0\n";

        assert_eq!(parse_link(text).unwrap(), (7, None));
        assert!(parse_link("policy:\tp\nh:\tcalls x\n").is_err());
    }

    #[test]
    fn blocks_of_modules() {
        let text = "module:\trust_a\ncgroup_id:\t5\npolicy:\ta\nstate:\tenabled\n\
            module:\t-\ncgroup_id:\t1\npolicy:\tb\nstate:\tdisabled\nh:\tcalls 4 differ 0\n";
        let all = parse_modules(text).unwrap();

        assert_eq!(all.len(), 2);
        assert_eq!(all[0].module.as_deref(), Some("rust_a"));
        assert!(all[1].is_disabled() && all[1].calls() == 4);
        assert!(!all[0].is_same(&all[1]));
    }

    #[test]
    fn difference() {
        let of = |text| Hook::parse("h", text).unwrap();
        let delta = of("calls 9 negative 2 positive 2 rejected_slice 3 differ 1")
            .since(&of("calls 5 negative 1 positive 0 rejected_slice 1 differ 0"));

        assert_eq!((delta.calls, delta.negative, delta.positive), (4, 1, 2));
        assert_eq!((delta.rejected["slice"], delta.differ), (2, 1));
    }
}
