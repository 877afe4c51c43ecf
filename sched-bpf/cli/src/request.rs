// SPDX-License-Identifier: GPL-2.0

//! Requests of the command line in terms of the library.

use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use sched_bpf_core::attach::Spec;
use sched_bpf_core::link::Place;
use sched_bpf_core::object::Source;
use sched_bpf_core::target::{Cgroup, Target};
use sched_bpf_core::{cgroup, kernel, pins, state};

use crate::args::{PlaceArgs, PolicyArgs, TargetArgs};
use crate::output::warn;

/// `BPF_F_BEFORE`, `BPF_F_AFTER`, `BPF_F_PREORDER`
const BEFORE: u32 = 1 << 3;
const AFTER: u32 = 1 << 4;
const PREORDER: u32 = 1 << 6;

/// Check that policies can be attached, and warn if they are off.
pub fn require_policies() -> Result<()> {
    kernel::require_policies()?;
    if !state::enabled()? {
        warn("policies are off; turn them on: sched-bpf on");
    }
    Ok(())
}

/// Return the cgroup of a unit or of a path, if one is given.
pub fn cgroup(path: Option<&Path>, unit: Option<&str>) -> Result<Option<Cgroup>> {
    Ok(match (path, unit) {
        (Some(path), _) => {
            let open = Cgroup::open(path);
            Some(open.with_context(|| format!("--cgroup {}", path.display()))?)
        }
        (None, Some(unit)) => {
            let open = cgroup::of_unit(unit).and_then(|path| {
                ensure!(path.exists(), "the unit is not active");
                Cgroup::open(&path)
            });
            Some(open.with_context(|| format!("--unit {unit}"))?)
        }
        (None, None) => None,
    })
}

/// Return the target, if one is given.
pub fn target(args: &TargetArgs) -> Result<Option<Target>> {
    if let Some(tid) = args.tid {
        return Ok(Some(Target::tid(tid).with_context(|| format!("--tid {tid}"))?));
    }
    if let Some(pid) = args.pid {
        return Ok(Some(Target::pid(pid).with_context(|| format!("--pid {pid}"))?));
    }
    if args.all {
        return Ok(Some(Target::Cgroup(Cgroup::root()?)));
    }
    Ok(cgroup(args.cgroup.as_deref(), args.unit.as_deref())?.map(Target::Cgroup))
}

/// Return the policy; "protect" without a file, which needs a target.
pub fn spec(file: Option<&Path>, args: &PolicyArgs, all: bool) -> Result<Spec> {
    let source = match file {
        Some(file) => Source::find(file)?,
        None => Source::protect()?,
    };
    if all && source.is_protect() {
        bail!(
            "--all needs a FILE: protecting all tasks would end wakeup preemption; 'sched-bpf \
             policies' lists the bundled policies"
        );
    }

    Ok(Spec { source, cap: args.cap, set: args.set.clone(), shadow: args.shadow })
}

/// Return the place among others.
pub fn place(args: &PlaceArgs) -> Result<Place> {
    let mut place = Place::default();

    for (which, flag, name) in [(&args.before, BEFORE, "--before"), (&args.after, AFTER, "--after")]
    {
        let Some(relative) = which else {
            continue;
        };
        place.flags |= flag;
        if let Some(link) = relative {
            let id = pins::link_id(link).with_context(|| format!("{name}={link}"))?;
            place.relative = Some(id);
        }
    }
    if args.preorder {
        place.flags |= PREORDER;
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_wide_needs_a_file() {
        let args = PolicyArgs::default();
        let error = spec(None, &args, true).unwrap_err().to_string();

        assert!(error.contains("--all needs a FILE"), "{error}");
        assert!(spec(Some(Path::new("protect")), &args, true).is_err());
        assert!(spec(Some(Path::new("learned")), &args, true).is_ok());
        assert!(spec(None, &args, false).unwrap().source.is_protect());
    }
}
