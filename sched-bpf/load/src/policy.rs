// SPDX-License-Identifier: GPL-2.0

//! A policy under demonstration: attached by the loader or a kernel module, counted by
//! the kernel.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};
use sched_bpf_core::snapshot::policies;
use sched_bpf_core::state::Policy as Attached;

use crate::cgroup::kernel_path;
use crate::child::Child;

/// What keeps a policy attached; it is detached when this is dropped.
enum Holder {
    Loader(Child),
    Module(Module),
}

/// A kernel module, which is removed when this is dropped.
struct Module(String);

impl Drop for Module {
    fn drop(&mut self) {
        // It may have been removed by hand.
        let _ = modprobe(&["-r".to_string(), self.0.clone()]);
    }
}

/// The attached policy.
pub struct Policy {
    holder: Holder,
    attached: Attached,
    name: String,
}

/// The path of the loader: the one asked for, or sched-bpf beside `this` program.
pub fn loader(asked: Option<&Path>, this: &Path) -> Result<PathBuf> {
    let path = asked.map_or_else(|| this.with_file_name("sched-bpf"), Path::to_path_buf);

    path.canonicalize().with_context(|| format!("loader {} (see --loader)", path.display()))
}

impl Policy {
    /// Attaches the policy of a file for all tasks.
    pub fn attach_file(program: &Path, file: &Path) -> Result<Self> {
        Self::attach_by(Command::new(program).arg("attach").arg(file).arg("--all"))
    }

    /// Attaches "protect" for the tasks of `cgroup`.
    pub fn attach(program: &Path, cgroup: &Path, cap_ms: u64) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("attach").arg("--cgroup").arg(cgroup);
        Self::attach_by(command.args(["--cap", &format!("{cap_ms}ms")]))
    }

    fn attach_by(command: &mut Command) -> Result<Self> {
        let before = policies()?;
        let mut loader = Child::spawn("loader", command)?;

        loader.line()?;
        Self::new(Holder::Loader(loader), &before)
    }

    /// Loads a kernel module that has one: its name and parameters, where {cgroup} stands for
    /// the path that the kernel has of `cgroup`.
    pub fn load(spec: &str, cgroup: &Path) -> Result<Self> {
        let path = kernel_path(cgroup);
        let words = spec.replace("{cgroup}", &path.display().to_string());
        let words: Vec<String> = words.split_whitespace().map(ToString::to_string).collect();
        let name = words.first().context("--module without a name")?.clone();
        let before = policies()?;

        modprobe(&words)?;
        Self::new(Holder::Module(Module(name)), &before)
    }

    fn new(holder: Holder, before: &[Attached]) -> Result<Self> {
        let attached = new_one(before, &policies()?)?;
        let name = match &holder {
            Holder::Module(_) => format!("rust {}", attached.name),
            Holder::Loader(_) => attached.name.clone(),
        };

        Ok(Self { holder, attached, name })
    }

    /// Fails if it was never called, or was disabled.
    pub fn was_called(&self) -> Result<()> {
        let all = policies()?;
        let own = all.iter().find(|policy| policy.is_same(&self.attached));
        let own = own.context("the policy is not attached any more")?;

        ensure!(!own.is_disabled(), "the policy was disabled: it took too much time");
        ensure!(own.calls() > 0, "the policy was never called");
        Ok(())
    }

    /// Detaches it and checks that it is gone.
    pub fn detach(self) -> Result<()> {
        match self.holder {
            Holder::Loader(loader) => loader.terminate()?,
            Holder::Module(module) => drop(module),
        }
        ensure!(
            !policies()?.iter().any(|policy| policy.is_same(&self.attached)),
            "policy {} is still attached after its loader or its module has gone",
            self.name
        );
        Ok(())
    }
}

fn modprobe(args: &[String]) -> Result<()> {
    let output = Command::new("modprobe").args(args).output().context("modprobe")?;

    ensure!(
        output.status.success(),
        "modprobe {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The policy that was attached meanwhile.
fn new_one(before: &[Attached], after: &[Attached]) -> Result<Attached> {
    let is_new = |new: &&Attached| !before.iter().any(|old| old.is_same(new));
    let new: Vec<_> = after.iter().filter(is_new).collect();

    ensure!(new.len() == 1, "{} policies were attached where one was to be", new.len());
    Ok(new[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_policy() {
        let policy = |link| Attached { link, ..Attached::default() };
        let (before, after) = ([policy(1)], [policy(1), policy(2)]);

        assert_eq!(new_one(&before, &after).unwrap().link, 2);
        assert!(new_one(&before, &before).is_err());
        assert!(new_one(&[], &after).is_err());
    }
}
