// SPDX-License-Identifier: GPL-2.0

//! The arms: policies, or none, and switching between them.

use std::mem;
use std::path::Path;
use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use sched_bpf_core::attach::{attach, Attached, Spec};
use sched_bpf_core::link::Place;
use sched_bpf_core::object::{Policies, Setting, Source};
use sched_bpf_core::target::{Cgroup, Target};

use super::plan::{Arm, Phase};
use crate::args;

/// The placebo: a policy that keeps every default.
const PLACEBO: &str = "pass";

/// Parse an arm: `none`, `protect:TIME`, a bundled policy or a file.
pub fn parse(text: &str, set: &[Setting]) -> Result<Option<Spec>> {
    if text == "none" {
        if let Some(set) = set.first() {
            bail!("{}={}: none has no options", set.name, set.value);
        }
        return Ok(None);
    }
    let (source, cap): (_, Option<Duration>) = match text.split_once(':') {
        Some(("protect", cap)) => {
            let cap = args::time(cap).map_err(|e| anyhow::anyhow!("{text}: {e}"))?;
            (Source::protect()?, Some(cap))
        }
        _ => (Source::find(Path::new(text))?, None),
    };

    Ok(Some(Spec { source, cap, set: set.to_vec(), shadow: false }))
}

/// The arms, loaded, of which at most one is attached.
pub struct Arms {
    a: Option<Policies>,
    /// A again, or the placebo if A is none, so that switching is part of the comparison of A
    /// with itself
    again: Option<Policies>,
    b: Option<Policies>,
    cgroup: Cgroup,
    now: Option<(Phase, Arm)>,
    attached: Vec<Attached>,
}

fn load(spec: &Option<Spec>, cgroup: &Cgroup) -> Result<Option<Policies>> {
    let target = Target::Cgroup(cgroup.clone());

    spec.as_ref().map(|spec| spec.load(&target)).transpose()
}

impl Arms {
    /// Load both and attach none.
    pub fn load(specs: [Option<Spec>; 2], cgroup: Cgroup) -> Result<Self> {
        ensure!(
            specs.iter().any(Option::is_some),
            "both arms are none, so there is nothing to compare"
        );
        let again = match &specs[0] {
            None => parse(PLACEBO, &[])?,
            spec => spec.clone(),
        };

        Ok(Self {
            a: load(&specs[0], &cgroup).context("arm A")?,
            again: load(&again, &cgroup).context("arm A")?,
            b: load(&specs[1], &cgroup).context("arm B")?,
            cgroup,
            now: None,
            attached: Vec::new(),
        })
    }

    fn policies(&self, phase: Phase, arm: Arm) -> &Option<Policies> {
        match (phase, arm) {
            (_, Arm::A) => &self.a,
            (Phase::Same, Arm::B) => &self.again,
            (Phase::Trial, Arm::B) => &self.b,
        }
    }

    /// Return the name of an arm: of its policies, or none.
    pub fn name(&self, phase: Phase, arm: Arm) -> String {
        let policies = self.policies(phase, arm).as_ref();

        policies.map_or("none".to_string(), |policies| {
            let names: Vec<_> = policies.ops.iter().map(|ops| ops.name.as_str()).collect();
            names.join("+")
        })
    }

    /// Return true if no policy is attached for a moment between one and the other.
    pub fn has_gap(&self) -> bool {
        let count = |p: &Option<Policies>| p.as_ref().map_or(0, |p| p.ops.len());

        count(&self.a) * count(&self.b) > 1
    }

    /// Return the attached policies.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// Put an arm in force: from one policy to another by a link update, without a gap.
    pub fn switch(&mut self, phase: Phase, arm: Arm) -> Result<()> {
        // A is the same in both phases.
        let now = match arm {
            Arm::A => (Phase::Trial, arm),
            Arm::B => (phase, arm),
        };
        if self.now.replace(now) == Some(now) {
            return Ok(());
        }
        let mut attached = mem::take(&mut self.attached);
        let to = self.policies(phase, arm).as_ref();

        if let ([policy], Some(to)) = (&mut attached[..], to.filter(|to| to.ops.len() == 1)) {
            policy.update(to)?;
            self.attached = attached;
            return Ok(());
        }
        detach(attached)?;
        if let Some(to) = to {
            self.attached = attach(to, &self.cgroup, &Place::default())?;
        }
        Ok(())
    }

    /// Detach all.
    pub fn detach(&mut self) -> Result<()> {
        self.now = None;
        detach(mem::take(&mut self.attached))
    }
}

/// On return none is called any more, whoever else has their links.
fn detach(all: Vec<Attached>) -> Result<()> {
    for policy in all {
        policy
            .link
            .detach()
            .with_context(|| format!("policy {} cannot be detached", policy.name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs() {
        assert_eq!(parse("none", &[]).unwrap(), None);
        let spec = parse("protect:20ms", &[]).unwrap().unwrap();
        assert_eq!(spec.cap, Some(Duration::from_millis(20)));
        assert!(parse("learned", &[]).unwrap().is_some());
        let error = |text| format!("{:#}", parse(text, &[]).unwrap_err());
        assert!(error("protect:5").contains("such as 500us"));
        assert!(error("protct").contains("nor a bundled policy"));
        let set = Setting { name: "x".into(), value: "1".into() };
        let error = parse("none", &[set]).unwrap_err().to_string();
        assert_eq!(error, "x=1: none has no options");
    }

    #[test]
    fn the_placebo_is_bundled() {
        assert!(parse(PLACEBO, &[]).unwrap().is_some());
    }
}
