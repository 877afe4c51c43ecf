// SPDX-License-Identifier: GPL-2.0

//! What has to be there before a policy can be attached: hooks, capabilities.

use std::fs;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use libbpf_rs::btf::{types::Struct, Btf};

/// BTF of the running kernel.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The table that policies fill.
const TABLE: &str = "bpf_sched_ops";

/// Does all of what the checks below do.
pub fn require_policies() -> Result<()> {
    require_hooks()?;
    require_capabilities()
}

fn require_hooks() -> Result<()> {
    ensure!(
        Path::new(BTF).exists(),
        "{BTF}: not there; a kernel built with CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_SCHED is needed"
    );
    let btf = Btf::from_path(BTF).with_context(|| format!("{BTF}: cannot be read"))?;

    ensure!(
        btf.type_by_name::<Struct>(TABLE).is_some(),
        "this kernel has no scheduler hooks for BPF: {BTF} has no struct {TABLE}; a kernel built \
         with CONFIG_BPF_SCHED is needed"
    );
    Ok(())
}

/// A capability: its number and its name.
struct Capability(u32, &'static str);

const CAP_SYS_ADMIN: Capability = Capability(21, "CAP_SYS_ADMIN");
const CAP_PERFMON: Capability = Capability(38, "CAP_PERFMON");
const CAP_BPF: Capability = Capability(39, "CAP_BPF");

impl Capability {
    fn is_in(&self, effective: u64) -> bool {
        effective & (1 << self.0) != 0
    }
}

fn require_capabilities() -> Result<()> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).context(path)?;
    let Some(effective) = parse_effective(&status) else {
        bail!("{path}: no CapEff line with a hexadecimal number");
    };
    let missing = missing_capabilities(effective);

    ensure!(
        missing.is_empty(),
        "missing {}: attaching a policy needs CAP_BPF and CAP_PERFMON; run as root",
        missing.join(" and ")
    );
    Ok(())
}

fn parse_effective(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

fn missing_capabilities(effective: u64) -> Vec<&'static str> {
    if CAP_SYS_ADMIN.is_in(effective) {
        return Vec::new();
    }

    [CAP_BPF, CAP_PERFMON]
        .iter()
        .filter(|capability| !capability.is_in(effective))
        .map(|capability| capability.1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_line() {
        let status = "CapPrm:\t1\nCapEff:\t000001ffffffffff\n";
        assert_eq!(parse_effective(status), Some(0x1ff_ffff_ffff));
        assert_eq!(parse_effective("CapPrm:\t1\n"), None);
    }

    #[test]
    fn capabilities() {
        assert_eq!(missing_capabilities(0), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing_capabilities(1 << 39), ["CAP_PERFMON"]);
        assert!(missing_capabilities((1 << 39) | (1 << 38)).is_empty());
        assert!(missing_capabilities(1 << 21).is_empty());
        assert_eq!(CAP_SYS_ADMIN.1, "CAP_SYS_ADMIN");
    }
}
