// SPDX-License-Identifier: GPL-2.0

//! The policy under demonstration: attached by the loader, counted by the kernel.

use std::path::Path;
use std::process::Command;

use anyhow::{ensure, Result};
use sched_bpf_counters::HookCounters;

use crate::child::Child;

/// The attached policy.
pub struct Policy {
    loader: Child,
    id: u32,
}

impl Policy {
    /// Attaches it for the tasks of `cgroup`.
    pub fn attach(program: &Path, cgroup: &Path, cap_ms: u64) -> Result<Self> {
        let before = sched_bpf_counters::read()?;
        let mut loader = Child::spawn(
            "loader",
            Command::new(program)
                .arg("attach")
                .arg("--cgroup")
                .arg(cgroup)
                .args(["--cap", &cap_ms.to_string()]),
        )?;
        loader.line()?;

        let id = new_id(&before, &sched_bpf_counters::read()?)?;
        Ok(Self { loader, id })
    }

    /// What its hooks counted so far.
    pub fn counters(&self) -> Result<Vec<HookCounters>> {
        let mut all = sched_bpf_counters::read()?;
        all.retain(|c| c.id == self.id);
        Ok(all)
    }

    /// Detaches it and checks that it is gone.
    pub fn detach(self) -> Result<()> {
        let id = self.id;

        self.loader.terminate()?;
        ensure!(
            sched_bpf_counters::read()?.iter().all(|c| c.id != id),
            "policy {id} is still attached after its loader has ended"
        );
        Ok(())
    }
}

/// The id that is new after a policy was attached.
fn new_id(before: &[HookCounters], after: &[HookCounters]) -> Result<u32> {
    let mut new: Vec<u32> = after
        .iter()
        .map(|c| c.id)
        .filter(|id| before.iter().all(|c| c.id != *id))
        .collect();

    new.dedup();
    ensure!(
        new.len() == 1,
        "{} policies were attached where the loader attached one",
        new.len()
    );
    Ok(new[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(lines: &str) -> Vec<HookCounters> {
        let header = "id name hook calls negative zero positive overruled\n";
        sched_bpf_counters::parse(&format!("{header}{lines}")).unwrap()
    }

    #[test]
    fn new_policy() {
        let before = policies("1 a h 0 0 0 0 0\n");
        let after = policies("1 a h 0 0 0 0 0\n2 b h 0 0 0 0 0\n2 b i 0 0 0 0 0\n");

        assert_eq!(new_id(&before, &after).unwrap(), 2);
        assert!(new_id(&before, &before).is_err());
        assert!(new_id(&[], &after).is_err());
    }
}
