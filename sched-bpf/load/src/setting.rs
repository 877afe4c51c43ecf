// SPDX-License-Identifier: GPL-2.0

//! What is compared: the settings that a stock kernel has for a load, schedulers, policies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::child::Child;
use crate::cli::{CompareArgs, Load};
use crate::policy::Policy;
use crate::slice::{self, Slice};

const SCX_STATE: &str = "/sys/kernel/sched_ext/state";

/// How long a sched_ext scheduler may take to begin.
const SCX_BEGINS: Duration = Duration::from_secs(10);

/// The kinds of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What all others are compared with
    Stock,
    /// The same again: a difference here is no effect
    Again,
    /// One that is made once, without knowing the future, of a stock kernel
    Static,
    Other,
    Policy,
}

/// The loads that a setting is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum For {
    /// Requests and overload
    Full,
    Demo,
    All,
}

impl For {
    fn has(self, load: Load) -> bool {
        self == Self::All || (self == Self::Demo) == (load == Load::Demo)
    }
}

/// What is in force while a load runs.
#[derive(Clone, Debug, PartialEq)]
enum Means {
    Nothing,
    /// The base slice of the fair class, in microseconds
    Base(u64),
    Scx(PathBuf),
    /// A policy of the directory of policies, for all tasks
    Policy(&'static str),
    /// "protect", which the load attaches to the measured part
    Protect,
}

/// Loads, needed for a coarse comparison, kind, name, arguments of the load, what is in force.
type Row = (For, bool, Kind, &'static str, &'static str, Means);

#[rustfmt::skip]
const ROWS: &[Row] = &{
    use For::{All, Demo, Full};
    use Kind::{Again, Other, Policy, Static, Stock};
    use Means::{Base, Nothing, Protect};
    [
        (All, true, Stock, "stock", "", Nothing),
        (All, true, Again, "stock again", "", Nothing),
        (Full, true, Static, "slice 0.1 ms", "--slice-us 100", Nothing),
        (Full, false, Static, "slice 0.3 ms", "--slice-us 300", Nothing),
        (Full, false, Static, "slice 1 ms", "--slice-us 1000", Nothing),
        (Full, false, Static, "slice 10 ms", "--slice-us 10000", Nothing),
        (Full, true, Static, "slice 100 ms", "--slice-us 100000", Nothing),
        (Full, true, Static, "base_slice 0.1 ms", "", Base(100)),
        (Full, false, Static, "base_slice 0.3 ms", "", Base(300)),
        (Full, false, Static, "base_slice 1 ms", "", Base(1_000)),
        (Full, false, Static, "base_slice 10 ms", "", Base(10_000)),
        (Full, true, Static, "base_slice 100 ms", "", Base(100_000)),
        (Full, true, Static, "cpu.weight 100", "--weight 100", Nothing),
        (Full, false, Other, "cpu.weight 300", "--weight 300", Nothing),
        (Full, true, Policy, "protect", "", Protect),
        (Full, true, Static, "slice 0.1 ms, weight", "--slice-us 100 --weight 100", Nothing),
        (Full, true, Static, "slice 1 ms, weight", "--slice-us 1000 --weight 100", Nothing),
        (Full, true, Policy, "protect, weight", "--weight 100", Protect),
        (Full, true, Policy, "learned", "", Means::Policy("learned")),
        (Demo, true, Static, "slice 0.1 ms", "--slice-us 100", Nothing),
        (Demo, true, Static, "cpu.weight 1000", "--weight 1000", Nothing),
        (Demo, true, Policy, "protect", "", Protect),
    ]
};

/// A setting, and how the load is started under it.
#[derive(Clone, Debug)]
pub struct Setting {
    pub name: String,
    pub kind: Kind,
    means: Means,
    args: Vec<String>,
}

/// What keeps a setting in force; what was before comes back when it is undone.
pub enum Standing {
    Nothing,
    Slice { _before: Slice },
    Scheduler(Child),
    Policy(Policy),
}

impl Setting {
    /// The command that starts `program` with this load under this setting.
    pub fn command(&self, program: &Path, loader: &Path, load: Load) -> Command {
        let mut command = Command::new(program);

        command.args(load.command()).args(&self.args);
        if self.means == Means::Protect {
            command.arg("--protect-by").arg(loader);
        }
        command
    }

    /// Puts it in force.
    pub fn set(&self, loader: &Path, policies: &Path) -> Result<Standing> {
        Ok(match &self.means {
            Means::Nothing | Means::Protect => Standing::Nothing,
            Means::Base(us) => Standing::Slice { _before: Slice::set(slice::BASE, us * 1000)? },
            Means::Scx(path) => Standing::Scheduler(scx(path)?),
            Means::Policy(name) => {
                let file = policies.join(name).with_extension("bpf.o");
                Standing::Policy(Policy::attach_file(loader, &file)?)
            }
        })
    }
}

impl Standing {
    /// Undoes it. Fails if a policy was never called, or a scheduler has gone.
    pub fn undo(self) -> Result<()> {
        match self {
            Self::Nothing | Self::Slice { .. } => Ok(()),
            Self::Scheduler(child) => {
                let state = scx_state()?;
                drop(child);
                await_scx("disabled")?;
                if state == "enabled" {
                    Ok(())
                } else {
                    bail!("{SCX_STATE}: {state} at the end of a run; the scheduler has gone")
                }
            }
            Self::Policy(policy) => {
                policy.was_called()?;
                policy.detach()
            }
        }
    }
}

fn scx_state() -> Result<String> {
    let state = fs::read_to_string(SCX_STATE).context(SCX_STATE)?;

    Ok(state.trim().to_string())
}

fn await_scx(wanted: &str) -> Result<()> {
    let begin = Instant::now();

    while scx_state()? != wanted {
        if begin.elapsed() > SCX_BEGINS {
            bail!("{SCX_STATE}: not {wanted} within {SCX_BEGINS:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn scx(path: &Path) -> Result<Child> {
    let child = Child::spawn("scheduler", &mut Command::new(path))?;

    await_scx("enabled")?;
    Ok(child)
}

/// The settings of a comparison, with the schedulers and modules that it names.
pub fn settings(args: &CompareArgs) -> Vec<Setting> {
    let rows = ROWS.iter().filter(|row| row.0.has(args.load) && (row.1 || !args.coarse));
    let other =
        |kind, name: &str, means, args| Setting { name: name.to_string(), kind, means, args };
    let scx = args.scx.iter().map(|path| {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        other(Kind::Other, &name, Means::Scx(path.clone()), Vec::new())
    });
    let modules = args.module.iter().map(|module| {
        let name = module.split_whitespace().next().unwrap_or_default();
        let args = vec!["--module".to_string(), module.clone()];
        other(Kind::Policy, name, Means::Nothing, args)
    });

    rows.map(|(_, _, kind, name, args, means)| {
        other(*kind, name, means.clone(), args.split_whitespace().map(String::from).collect())
    })
    .chain(scx)
    .chain(modules)
    .collect()
}

#[cfg(test)]
mod tests {
    use clap::{Parser, ValueEnum};

    use super::*;
    use crate::cli::{Action, Cli};

    #[test]
    fn names_are_unique_and_arguments_known() {
        for load in Load::value_variants() {
            let line = ["x", "compare", load.name(), "--policies", "p", "--out", "o"];
            let Action::Compare(args) = Cli::parse_from(line).action else {
                panic!("not compare");
            };
            let all = settings(&args);
            let mut names: Vec<_> = all.iter().map(|setting| &setting.name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all.len());
            assert_eq!((all[0].kind, all[1].kind), (Kind::Stock, Kind::Again));
            for setting in &all {
                let own = setting.args.iter().map(String::as_str);
                let line = ["x"].into_iter().chain(load.command().iter().copied()).chain(own);
                assert!(Cli::try_parse_from(line).is_ok(), "{}", setting.name);
            }
        }
    }
}
