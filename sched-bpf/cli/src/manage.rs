// SPDX-License-Identifier: GPL-2.0

//! `detach`, `replace`, `policies`, `inspect`, `on`, `off`, `status`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use sched_bpf_core::bundled::{BUNDLED, PROTECT};
use sched_bpf_core::object::{Opened, Source};
use sched_bpf_core::{pins, snapshot, state};
use serde::Serialize;

use crate::args::{DetachArgs, InspectArgs, ReplaceArgs};
use crate::output::Output;
use crate::request::{self, require_policies};

/// Detach one pin or all. With several, a bad one does not stop the others.
pub fn detach(args: &DetachArgs, out: Output) -> Result<()> {
    let paths = match &args.pin {
        Some(pin) => vec![pins::find(pin)?],
        None => pins::all()?,
    };
    let mut errors: Vec<String> = Vec::new();

    for path in &paths {
        let name = path.display().to_string();
        match pins::detach(path) {
            Ok(true) => out.event("detached", &name, "")?,
            Ok(false) => out.event("removed", &name, "it was detached before")?,
            Err(e) => errors.push(format!("{e:#}")),
        }
    }
    if !errors.is_empty() {
        bail!("{}", errors.join("; "));
    }
    if paths.is_empty() {
        out.event("nothing", "no pin", pins::DIR)?;
    }
    Ok(())
}

/// Replace the policy of a pin.
pub fn replace(args: &ReplaceArgs, out: Output) -> Result<()> {
    require_policies()?;
    let path = pins::find(&args.pin)?;
    let spec = request::spec(Some(&args.file), &args.policy, false)?;
    let name = pins::replace(&path, &spec)?;
    out.event("replaced", &path.display().to_string(), &format!("now {name}"))
}

#[derive(Serialize)]
struct Described {
    name: String,
    description: String,
    policies: BTreeMap<String, Vec<String>>,
    options: BTreeMap<String, i64>,
}

impl Described {
    fn new(source: &Source) -> Result<Self> {
        let describe = || -> Result<Self> {
            let opened = Opened::open(source)?;
            let contents = opened.contents()?.into_iter();
            let options = opened.options()?.into_iter();

            Ok(Self {
                name: source.name(),
                description: match source {
                    Source::Bundled(bundled) => bundled.description.to_string(),
                    Source::File(_) => String::new(),
                },
                policies: contents.map(|c| (c.name, c.hooks)).collect(),
                // Those of "protect" are set by sched-bpf.
                options: if source.is_protect() {
                    BTreeMap::new()
                } else {
                    options.map(|(name, value)| (name, value as i64)).collect()
                },
            })
        };
        describe().with_context(|| source.name())
    }

    fn text(&self) -> String {
        let mut out = format!("{}\n", self.name);

        // Writing to a string does not fail.
        for line in wrapped(&self.description, 94) {
            let _ = writeln!(out, "    {line}");
        }
        for (policy, hooks) in &self.policies {
            let hooks = format!("policy {policy}: {}", hooks.join(", "));
            for line in wrapped(&hooks, 94) {
                let _ = writeln!(out, "    {line}");
            }
        }
        for (option, value) in &self.options {
            let time = match option.ends_with("_ns") {
                true => format!(
                    " ({})",
                    humantime::format_duration(Duration::from_nanos(*value as u64))
                ),
                false => String::new(),
            };
            let _ = writeln!(out, "    --set {option}={value}{time}");
        }
        if self.name == PROTECT {
            out.push_str("    --cap TIME\n");
        }
        out
    }
}

/// Break a text into lines.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();

    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// List the bundled policies.
pub fn policies(out: Output) -> Result<()> {
    let all = BUNDLED
        .iter()
        .map(|bundled| Described::new(&Source::Bundled(bundled)))
        .collect::<Result<Vec<_>>>()?;
    let text: String = all.iter().map(Described::text).collect();

    out.print(&all, &text)
}

/// Show a file.
pub fn inspect(args: &InspectArgs, out: Output) -> Result<()> {
    let described = Described::new(&Source::find(&args.file)?)?;

    out.print(&described, &described.text())
}

/// Turn policies on or off.
pub fn enable(on: bool, out: Output) -> Result<()> {
    state::enable(on)?;
    out.event("policies", if on { "on" } else { "off" }, "")
}

#[derive(Serialize)]
struct Status {
    enabled: bool,
    max_slice_ns: u64,
    max_share_percent: u64,
    policies: usize,
    disabled: Vec<String>,
}

/// Show the state of all.
pub fn status(out: Output) -> Result<ExitCode> {
    let all = snapshot::policies()?;
    let disabled = all.iter().filter(|policy| policy.is_disabled());
    let status = Status {
        enabled: state::enabled()?,
        max_slice_ns: state::knob("max_slice_ns")?,
        max_share_percent: state::knob("max_share")?,
        policies: all.len(),
        disabled: disabled.map(|policy| policy.name.clone()).collect(),
    };
    let mut text = format!(
        "policies are {}\n{} attached, {} disabled for the time they took{}\n\
         a slice is at most {}; a policy may take {} % of a CPU\n",
        if status.enabled { "on" } else { "off" },
        status.policies,
        status.disabled.len(),
        status.disabled.iter().fold(String::new(), |text, name| text + " " + name),
        humantime::format_duration(Duration::from_nanos(status.max_slice_ns)),
        status.max_share_percent,
    );
    if !status.enabled {
        text += "turn them on: sched-bpf on\n";
    }

    out.print(&status, &text)?;
    Ok(ExitCode::from(u8::from(!status.enabled || !status.disabled.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundled_policies_are_described() {
        for bundled in BUNDLED {
            let text = Described::new(&Source::Bundled(bundled)).unwrap().text();
            assert!(text.contains("policy ") && text.lines().all(|l| l.len() <= 100));
        }
        let slice = Source::find("slice".as_ref()).unwrap();
        let text = Described::new(&slice).unwrap().text();
        assert!(text.contains("--set slice_ns=1000000 (1ms)"), "{text}");
    }
}
