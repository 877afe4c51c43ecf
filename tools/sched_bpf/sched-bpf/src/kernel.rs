// SPDX-License-Identifier: GPL-2.0

//! What has to be there before a policy can be attached: hooks, capabilities.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use caps::{CapSet, Capability};
use libbpf_rs::btf::{types::Struct, Btf};

use crate::cli;
use crate::table::OPS;

/// BTF of the running kernel.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Does all of what the checks below do, and says if no policy is asked.
pub fn require_policies() -> Result<()> {
    require_hooks()?;
    require_capabilities()?;

    if !sched_bpf_counters::enabled()? {
        cli::warn(&format!(
            "{}/enabled is 0: policies are switched off; what is attached is not asked until 1 \
             is written to it",
            sched_bpf_counters::KNOBS
        ));
    }
    Ok(())
}

/// The types of the running kernel.
pub fn btf() -> Result<Btf<'static>> {
    ensure!(
        Path::new(BTF).exists(),
        "{BTF}: not there; a kernel built with CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_SCHED is needed"
    );
    Btf::from_path(BTF).with_context(|| format!("{BTF}: cannot be read"))
}

/// One more than the highest number of a CPU that there may be.
pub fn nr_cpu_ids() -> Result<u32> {
    let path = "/sys/devices/system/cpu/possible";
    let ranges = std::fs::read_to_string(path).context(path)?;

    highest(&ranges)
        .map(|cpu| cpu + 1)
        .with_context(|| format!("{path}: not a list of CPUs: {ranges}"))
}

/// The last number of a list like `0-3,8-11`.
fn highest(ranges: &str) -> Option<u32> {
    ranges.trim_end().rsplit([',', '-']).next()?.parse().ok()
}

/// The release of the running kernel.
pub fn release() -> Result<String> {
    let path = "/proc/sys/kernel/osrelease";

    let release = std::fs::read_to_string(path).context(path)?;
    Ok(release.trim_end().to_string())
}

fn require_hooks() -> Result<()> {
    ensure!(
        btf()?.type_by_name::<Struct>(OPS).is_some(),
        "this kernel has no scheduler hooks for BPF: {BTF} has no struct {OPS}; a kernel built \
         with CONFIG_BPF_SCHED is needed"
    );
    Ok(())
}

fn require_capabilities() -> Result<()> {
    let missing = missing_capabilities(|capability| {
        caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
    });

    ensure!(
        missing.is_empty(),
        "missing {}: attaching a policy needs CAP_BPF and CAP_PERFMON; run as root",
        missing.join(" and ")
    );
    Ok(())
}

fn missing_capabilities(has: impl Fn(Capability) -> bool) -> Vec<String> {
    if has(Capability::CAP_SYS_ADMIN) {
        return Vec::new();
    }

    [Capability::CAP_BPF, Capability::CAP_PERFMON]
        .into_iter()
        .filter(|capability| !has(*capability))
        .map(|capability| capability.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(highest("0\n"), Some(0));
        assert_eq!(highest("0-3,8-11\n"), Some(11));
        assert_eq!(highest(""), None);
    }

    #[test]
    fn capabilities() {
        let bpf = |capability| capability == Capability::CAP_BPF;
        let admin = |capability| capability == Capability::CAP_SYS_ADMIN;

        assert_eq!(missing_capabilities(|_| false), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing_capabilities(bpf), ["CAP_PERFMON"]);
        assert!(missing_capabilities(admin).is_empty());
    }
}
