// SPDX-License-Identifier: GPL-2.0

//! Requirements for attaching a policy: hooks, capabilities.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use libbpf_rs::btf::{types::Struct, Btf};
use procfs::process::Process;

/// The struct that policies fill in.
pub const OPS: &str = "bpf_sched_ops";

/// The types of the running kernel.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Bits of capabilities.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Check that this kernel has the hooks, and this process the capabilities for them.
pub fn require_policies() -> Result<()> {
    require_hooks()?;
    let status = Process::myself().and_then(|this| this.status());
    let missing = missing_capabilities(status.context("/proc/self/status")?.capeff);

    ensure!(
        missing.is_empty(),
        "missing {}: attaching a policy needs CAP_BPF and CAP_PERFMON; run as root",
        missing.join(" and ")
    );
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

fn require_hooks() -> Result<()> {
    ensure!(
        btf()?.type_by_name::<Struct>(OPS).is_some(),
        "this kernel has no scheduler hooks for BPF: {BTF} has no struct {OPS}; a kernel built \
         with CONFIG_BPF_SCHED is needed"
    );
    Ok(())
}

fn missing_capabilities(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| (effective >> bit) & 1 == 1;

    if has(CAP_SYS_ADMIN) {
        return Vec::new();
    }
    [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(bit, _)| !has(*bit))
        .map(|(_, name)| name)
        .collect()
}
