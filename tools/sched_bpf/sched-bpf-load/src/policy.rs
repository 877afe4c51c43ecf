// SPDX-License-Identifier: GPL-2.0

//! A policy under demonstration: attached by the loader or a kernel module, counted by
//! the kernel.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};
use sched_bpf_counters::HookCounters;

use crate::cgroup::kernel_path;
use crate::child::Child;

/// What keeps a policy attached.
enum Holder {
    Loader(Child),
    Module(String),
}

/// The attached policy.
pub struct Policy {
    holder: Holder,
    id: u32,
    name: String,
}

/// The path of the loader: the one asked for, or sched-bpf beside `this` program.
pub fn loader(asked: Option<&Path>, this: &Path) -> Result<PathBuf> {
    let path = asked.map_or_else(|| this.with_file_name("sched-bpf"), Path::to_path_buf);

    path.canonicalize()
        .with_context(|| format!("loader {} (see --loader)", path.display()))
}

impl Policy {
    /// Attaches the policy of a file for all tasks.
    pub fn attach_file(program: &Path, file: &Path) -> Result<Self> {
        let before = sched_bpf_counters::read()?;
        let mut loader = Child::spawn(
            "loader",
            Command::new(program).arg("attach").arg(file).arg("--all"),
        )?;
        loader.line()?;
        Self::new(Holder::Loader(loader), &before)
    }

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
        Self::new(Holder::Loader(loader), &before)
    }

    /// Loads a module: its name and parameters, with {cgroup} for `cgroup`.
    pub fn load(spec: &str, cgroup: &Path) -> Result<Self> {
        let before = sched_bpf_counters::read()?;
        let path = kernel_path(cgroup);
        let words: Vec<String> = spec
            .split_whitespace()
            .map(|word| word.replace("{cgroup}", &path.to_string_lossy()))
            .collect();
        let module = words.first().context("--module: no name of a module")?;

        modprobe(&words)?;
        Self::new(Holder::Module(module.clone()), &before)
    }

    fn new(holder: Holder, before: &[HookCounters]) -> Result<Self> {
        let after = sched_bpf_counters::read()?;
        let id = new_id(before, &after)?;
        let name = match (&holder, after.iter().find(|c| c.id == id)) {
            (Holder::Module(_), Some(c)) => format!("rust {}", c.name),
            (_, Some(c)) => c.name.clone(),
            (_, None) => String::new(),
        };

        Ok(Self { holder, id, name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its hooks counted so far.
    pub fn counters(&self) -> Result<Vec<HookCounters>> {
        let mut all = sched_bpf_counters::read()?;
        all.retain(|c| c.id == self.id);
        Ok(all)
    }

    /// Fails if it was never asked.
    pub fn was_asked(&self) -> Result<()> {
        let calls: u64 = self.counters()?.iter().map(|c| c.calls).sum();

        ensure!(calls > 0, "the policy was never asked");
        Ok(())
    }

    /// Detaches it and checks that it is gone.
    pub fn detach(self) -> Result<()> {
        let id = self.id;

        match self.holder {
            Holder::Loader(loader) => loader.terminate()?,
            Holder::Module(module) => modprobe(&["-r".to_string(), module])?,
        }
        ensure!(
            sched_bpf_counters::read()?.iter().all(|c| c.id != id),
            "policy {id} is still attached after its loader or its module has gone"
        );
        Ok(())
    }
}

fn modprobe(args: &[String]) -> Result<()> {
    let output = Command::new("modprobe")
        .args(args)
        .output()
        .context("modprobe")?;

    ensure!(
        output.status.success(),
        "modprobe {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
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
        "{} policies were attached where one was to be",
        new.len()
    );
    Ok(new[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(lines: &str) -> Vec<HookCounters> {
        let header = "id name hook calls negative zero positive overruled prog differ timed \
                      time_ns max_ns\n";
        let lines = lines.replace('\n', " 0 0 0 0 0\n");
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
