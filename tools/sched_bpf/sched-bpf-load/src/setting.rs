// SPDX-License-Identifier: GPL-2.0

//! What is compared: the settings that a stock kernel has for a load, schedulers, policies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::child::Child;
use crate::policy::Policy;
use crate::slice::BaseSlice;

const SCX_STATE: &str = "/sys/kernel/sched_ext/state";

/// How long a sched_ext scheduler may take to begin.
const SCX_BEGINS: Duration = Duration::from_secs(10);

/// How a setting is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What all others are compared with
    Stock,
    /// The same again: what differs here is no effect
    Again,
    /// One that is made once, without knowing the future, of a stock kernel
    Static,
    /// Something else
    Other,
    /// A policy of this series
    Policy,
}

/// What is in force while a load runs.
#[derive(Clone, Debug, PartialEq)]
enum Means {
    Nothing,
    BaseSlice(u64),
    Scx(PathBuf),
    Policy(PathBuf),
}

/// A setting, and how the load is started under it.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its name in tables
    pub name: String,
    /// How it is judged
    pub kind: Kind,
    means: Means,
    /// What the load is started by, before its own name
    prefix: &'static [&'static str],
    /// Arguments of the load
    args: Vec<String>,
}

/// What keeps a setting in force; what was before comes back when it is undone.
pub enum InForce {
    /// Nothing has to be undone
    Nothing,
    /// The base slice
    Slice { _before: BaseSlice },
    /// A scheduler
    Scheduler(Child),
    /// A policy
    Policy(Policy),
}

impl Setting {
    fn new(kind: Kind, name: &str) -> Self {
        Self {
            name: name.to_string(),
            kind,
            means: Means::Nothing,
            prefix: &[],
            args: Vec::new(),
        }
    }

    fn with(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(ToString::to_string).collect();
        self
    }

    fn by(mut self, means: Means) -> Self {
        self.means = means;
        self
    }

    fn started_by(mut self, prefix: &'static [&'static str]) -> Self {
        self.prefix = prefix;
        self
    }

    /// The command that starts `program` under this setting.
    pub fn command(&self, program: &Path) -> Command {
        let mut words = self.prefix.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };

        command.arg("functions").args(&self.args);
        command
    }

    /// Puts it in force.
    pub fn set(&self, loader: &Path) -> Result<InForce> {
        Ok(match &self.means {
            Means::Nothing => InForce::Nothing,
            Means::BaseSlice(ns) => InForce::Slice {
                _before: BaseSlice::set_ns(*ns)?,
            },
            Means::Scx(path) => InForce::Scheduler(scx(path)?),
            Means::Policy(path) => InForce::Policy(Policy::attach_file(loader, path)?),
        })
    }
}

impl InForce {
    /// Undoes it. Fails if a policy was never asked, or a scheduler has gone.
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
                let calls: u64 = policy.counters()?.iter().map(|c| c.calls).sum();
                policy.detach()?;
                if calls == 0 {
                    bail!("the policy was never asked");
                }
                Ok(())
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

/// Milliseconds in the text of a setting.
fn ms(ns: u64) -> String {
    format!("{} ms", ns as f64 / 1e6)
}

/// What is compared for the functions. What a stock kernel can be set to without a word of
/// the load on single functions is the same for all of its threads, as any of them runs any
/// function; so nice and cpu.weight change what the bystander has, and nothing among
/// functions.
pub fn settings(policies: &Path, scx: Option<&Path>) -> Vec<Setting> {
    const SLICES_NS: [u64; 4] = [100_000, 1_000_000, 10_000_000, 100_000_000];
    let announced = policies.join("announced.bpf.o");
    let mut all = vec![
        Setting::new(Kind::Stock, "stock"),
        Setting::new(Kind::Again, "stock again"),
        Setting::new(Kind::Static, "SCHED_BATCH").started_by(&["chrt", "--batch", "0"]),
        Setting::new(Kind::Static, "nice 10").started_by(&["nice", "-n", "10"]),
        Setting::new(Kind::Static, "nice -10").started_by(&["nice", "-n", "-10"]),
    ];

    for ns in SLICES_NS {
        all.push(
            Setting::new(Kind::Static, &format!("slice {}", ms(ns)))
                .with(&["--slice-us", &(ns / 1000).to_string()]),
        );
    }
    for ns in SLICES_NS {
        all.push(
            Setting::new(Kind::Static, &format!("base_slice {}", ms(ns))).by(Means::BaseSlice(ns)),
        );
    }
    if let Some(path) = scx {
        all.push(Setting::new(Kind::Other, "scx_simple").by(Means::Scx(path.to_path_buf())));
    }
    all.push(Setting::new(Kind::Other, "sched_setattr each").with(&["--announce", "setattr"]));
    for (name, error) in [
        ("announced", "0"),
        ("announced, error 50 %", "50"),
        ("announced, error 100 %", "100"),
    ] {
        all.push(
            Setting::new(Kind::Policy, name)
                .by(Means::Policy(announced.clone()))
                .with(&["--announce", "map", "--error", error]),
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let all = settings(Path::new("p"), Some(Path::new("s")));
        let mut names: Vec<_> = all.iter().map(|setting| &setting.name).collect();
        let count = names.len();

        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(settings(Path::new("p"), None).len(), count - 1);
        assert_eq!(all[0].kind, Kind::Stock);
        assert_eq!(all[1].kind, Kind::Again);
    }

    #[test]
    fn commands() {
        let all = settings(Path::new("p"), None);
        let words = |name: &str| {
            let setting = all.iter().find(|setting| setting.name == name).unwrap();
            format!("{:?}", setting.command(Path::new("x")))
        };

        assert_eq!(words("stock"), r#""x" "functions""#);
        assert_eq!(
            words("SCHED_BATCH"),
            r#""chrt" "--batch" "0" "x" "functions""#
        );
        assert_eq!(
            words("slice 0.1 ms"),
            r#""x" "functions" "--slice-us" "100""#
        );
    }
}
