// SPDX-License-Identifier: GPL-2.0

//! The arms: policies, or none, and switching between them.

use std::mem;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use serde::Serialize;

use super::plan::{Arm, Phase};
use crate::attach::{self, Attached, Where};
use crate::cli::{PolicyArgs, Setting};
use crate::link::Place;
use crate::object::Policies;
use crate::target::Target;

/// What an arm is, as the user named it.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// No policy
    None,
    /// The policy that comes with sched-bpf, with --cap
    Protect(Option<u64>),
    /// An object
    File(PathBuf),
}

impl Spec {
    /// `none`, `protect`, `protect:MS` or a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("protect", ms)) => match ms.parse() {
                Ok(ms) => Ok(Self::Protect(Some(ms))),
                Err(_) => Err("protect:MS is expected, with a number of milliseconds".to_string()),
            },
            _ => Ok(match text {
                "none" => Self::None,
                "protect" => Self::Protect(None),
                path if !Path::new(path).exists() => {
                    return Err("no such file, and neither none nor protect".to_string());
                }
                path => Self::File(path.into()),
            }),
        }
    }

    /// Loads it; nothing for no policy.
    fn load(&self, set: &[Setting], target: &Target, shadow: bool) -> Result<Option<Policies>> {
        let file: Option<&Path> = match self {
            Self::None => {
                if let Some(setting) = set.first() {
                    bail!("{}={}: 'none' has no options", setting.name, setting.value);
                }
                return Ok(None);
            }
            Self::Protect(_) => None,
            Self::File(path) => Some(path),
        };
        let args = PolicyArgs {
            cap: match self {
                Self::Protect(cap) => *cap,
                _ => None,
            },
            set: set.to_vec(),
            shadow,
        };

        attach::load(file, &args, target).map(Some)
    }
}

/// What a policy would have done, in the shadow.
#[derive(Clone, Debug, Serialize)]
pub struct Shadowed {
    /// Which arm's
    pub arm: Arm,
    /// Its name
    pub policy: String,
    /// The hook
    pub hook: String,
    /// How often it was asked
    pub calls: u64,
    /// How many answers would have changed something
    pub differ: u64,
}

/// The arms, loaded, of which at most one is attached.
pub struct Arms {
    specs: [(Spec, Vec<Setting>); 2],
    a: Option<Policies>,
    /// A once more, so that A differs from itself in nothing but the table
    again: Option<Policies>,
    b: Option<Policies>,
    target: Target,
    now: Option<Which>,
    attached: Vec<Attached>,
}

/// Of which object the tables are that are attached.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    A,
    Again,
    B,
}

impl Arms {
    /// Loads both and attaches none.
    pub fn load(specs: [(Spec, Vec<Setting>); 2], target: Target) -> Result<Self> {
        let load = |number: usize| {
            let (spec, set) = &specs[number];
            spec.load(set, &target, false)
                .with_context(|| format!("arm {}", ["A", "B"][number]))
        };
        let (a, again, b) = (load(0)?, load(0)?, load(1)?);

        Ok(Self {
            specs,
            a,
            again,
            b,
            target,
            now: None,
            attached: Vec::new(),
        })
    }

    /// The name of an arm: of its policies, or none.
    pub fn name(&self, arm: Arm) -> String {
        let policies = match arm {
            Arm::A => &self.a,
            Arm::B => &self.b,
        };

        policies.as_ref().map_or("none".to_string(), |policies| {
            let names: Vec<_> = policies.tables.iter().map(|t| t.name.as_str()).collect();
            names.join("+")
        })
    }

    /// Is there a time without a policy between one and the other?
    pub fn has_gap(&self) -> bool {
        let count = |p: &Option<Policies>| p.as_ref().map_or(0, |p| p.tables.len());

        count(&self.a) > 0 && count(&self.b) > 0 && (count(&self.a) > 1 || count(&self.b) > 1)
    }

    /// What is attached now.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// Why one of them, by its index, is not attached any more.
    pub fn why_detached(&self, index: usize) -> String {
        self.attached[index].how_detached(self.target.as_cgroup())
    }

    /// Asks the policies of both arms for a time, obeys none, and says what they would have
    /// changed of what is done without a policy.
    pub fn shadow(&self, wait: impl FnOnce(&[Attached]) -> Result<()>) -> Result<Vec<Shadowed>> {
        let mut attached = Vec::new();
        let mut arms = Vec::new();

        for ((spec, set), arm) in self.specs.iter().zip([Arm::A, Arm::B]) {
            if let Some(policies) = spec.load(set, &self.target, true)? {
                let new = attach::attach_all(&policies, &self.place())?;
                arms.resize(arms.len() + new.len(), arm);
                attached.extend(new);
            }
        }
        if attached.is_empty() {
            return Ok(Vec::new());
        }
        wait(&attached)?;

        let counters = sched_bpf_counters::read()?;
        let mut all = Vec::new();
        for (policy, arm) in attached.iter().zip(arms) {
            let own = counters.iter().filter(|c| c.id == policy.id);
            all.extend(own.map(|c| Shadowed {
                arm,
                policy: policy.name.clone(),
                hook: c.hook.clone(),
                calls: c.calls,
                differ: c.differ,
            }));
        }
        detach(attached)?;
        Ok(all)
    }

    fn place(&self) -> Where<'_> {
        Where {
            cgroup: self.target.as_cgroup(),
            place: Place::default(),
        }
    }

    /// Lets an arm decide. From one policy to another by its link: no question is asked of
    /// neither or of both.
    pub fn switch(&mut self, phase: Phase, arm: Arm) -> Result<()> {
        let (which, to) = match (phase, arm) {
            (_, Arm::A) => (Which::A, &self.a),
            (Phase::Same, Arm::B) => (Which::Again, &self.again),
            (Phase::Trial, Arm::B) => (Which::B, &self.b),
        };
        if self.now.replace(which) == Some(which) {
            return Ok(());
        }

        if let ([policy], Some([table])) = (
            &self.attached[..],
            to.as_ref().map(|policies| &policies.tables[..]),
        ) {
            return policy
                .link
                .update(table.as_fd())
                .with_context(|| format!("policy {}: the kernel did not take it", table.name));
        }
        detach(mem::take(&mut self.attached))?;
        if let Some(policies) = to {
            self.attached = attach::attach_all(policies, &self.place())?;
        }
        Ok(())
    }

    /// Lets nobody decide.
    pub fn detach(&mut self) -> Result<()> {
        self.now = None;
        detach(mem::take(&mut self.attached))
    }
}

/// On return none is asked any more, whoever else has their links.
fn detach(all: Vec<Attached>) -> Result<()> {
    for policy in all {
        policy
            .link
            .detach()
            .with_context(|| format!("policy {}: cannot be detached", policy.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs() {
        assert_eq!(Spec::parse("none"), Ok(Spec::None));
        assert_eq!(Spec::parse("protect"), Ok(Spec::Protect(None)));
        assert_eq!(Spec::parse("protect:20"), Ok(Spec::Protect(Some(20))));
        assert!(Spec::parse("protect:x").unwrap_err().contains("protect:MS"));
        assert_eq!(Spec::parse("./src"), Ok(Spec::File("./src".into())));
        assert!(Spec::parse("protct").unwrap_err().contains("no such file"));
    }

    #[test]
    fn no_policy_has_no_options() {
        let set = [Setting {
            name: "x".into(),
            value: "1".into(),
        }];
        let error = Spec::None.load(&set, &Target::All, false).err().unwrap();
        assert!(error.to_string().contains("x=1: 'none' has no options"));
    }
}
