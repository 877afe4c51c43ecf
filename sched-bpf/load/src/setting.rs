// SPDX-License-Identifier: GPL-2.0

//! What is compared: the settings that a stock kernel has for a load, schedulers, policies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::child::{self, Child};
use crate::cli::{CompareArgs, Load};
use crate::policy::Policy;
use crate::slice::{self, Slice};

const NS_PER_US: u64 = 1000;

/// Of equal weight.
const IN_GROUPS: [&str; 2] = ["--weight", "100"];

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
    Slice(&'static str, u64),
    Scx(PathBuf),
    Policy(PathBuf),
    /// The policy of the loader, which the load attaches to a part of it
    Protect,
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
pub enum Standing {
    /// Nothing has to be undone
    Nothing,
    /// A slice
    Slice { _before: Slice },
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

    /// The command that starts `program` with this load under this setting.
    pub fn command(&self, program: &Path, loader: &Path, load: Load) -> Command {
        let mut command = child::command(self.prefix, program);

        command.args(load.command()).args(&self.args);
        if self.means == Means::Protect {
            command.arg("--protect-by").arg(loader);
        }
        command
    }

    /// Puts it in force.
    pub fn set(&self, loader: &Path) -> Result<Standing> {
        Ok(match &self.means {
            Means::Nothing | Means::Protect => Standing::Nothing,
            Means::Slice(file, ns) => Standing::Slice {
                _before: Slice::set(file, *ns)?,
            },
            Means::Scx(path) => Standing::Scheduler(scx(path)?),
            Means::Policy(path) => Standing::Policy(Policy::attach_file(loader, path)?),
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

/// What is said of each function when it is invoked.
fn functions(all: &mut Vec<Setting>, policy: &Path, coarse: bool) {
    all.push(Setting::new(Kind::Other, "sched_setattr each").with(&["--announce", "setattr"]));
    for (name, error) in [
        ("announced", 0),
        ("announced, error 50 %", 50),
        ("announced, error 100 %", 100),
    ] {
        if !coarse || error != 50 {
            all.push(
                Setting::new(Kind::Policy, name)
                    .by(Means::Policy(policy.to_path_buf()))
                    .with(&["--announce", "map", "--error", &error.to_string()]),
            );
        }
    }
}

/// What both parts of a load are told apart by: cgroups of equal weight, and the policy of
/// sched-bpf. More weight gives the one more than its share.
fn apart(all: &mut Vec<Setting>, coarse: bool) {
    all.push(Setting::new(Kind::Static, "cpu.weight 100").with(&IN_GROUPS));
    if !coarse {
        all.push(Setting::new(Kind::Other, "cpu.weight 300").with(&["--weight", "300"]));
    }
    all.push(Setting::new(Kind::Policy, "protect").by(Means::Protect));
}

/// How threads tell that they have a lock.
fn locks(all: &mut Vec<Setting>, policies: &Path, coarse: bool) {
    let holder = |name: &str, args: &[&str]| {
        let holder = policy("holder", policies).with(&[&["--hint"], args].concat());
        Setting {
            name: name.to_string(),
            ..holder
        }
    };

    all.push(holder("holder", &[]));
    if !coarse {
        all.push(holder("holder, cpu.weight 100", &IN_GROUPS));
    }
}

/// What may go together with cgroups of equal weight.
fn in_groups(all: &mut Vec<Setting>) {
    for us in [100, 1_000] {
        let name = format!("slice {} ms, cpu.weight 100", us as f64 / 1e3);
        let slice = ["--slice-us", &us.to_string()];
        all.push(Setting::new(Kind::Static, &name).with(&[&IN_GROUPS[..], &slice].concat()));
    }
    all.push(
        Setting::new(Kind::Policy, "protect, cpu.weight 100")
            .by(Means::Protect)
            .with(&IN_GROUPS),
    );
}

/// What a stock kernel can be set to for a service, and policies for it.
fn demo(all: &mut Vec<Setting>, modules: &[String]) {
    let slice = Setting::new(Kind::Static, "slice 0.1 ms").with(&["--slice-us", "100"]);
    let weight = Setting::new(Kind::Static, "cpu.weight 1000").with(&["--weight", "1000"]);

    all.extend([slice, weight]);
    all.push(Setting::new(Kind::Policy, "protect").by(Means::Protect));
    for module in modules {
        let name = module.split_whitespace().next().unwrap_or_default();
        all.push(Setting::new(Kind::Policy, name).with(&["--module", module]));
    }
}

/// The policy of a file, for all tasks.
fn policy(name: &str, policies: &Path) -> Setting {
    let file = policies.join(name).with_extension("bpf.o");

    Setting::new(Kind::Policy, name).by(Means::Policy(file))
}

/// What is compared by a load. What a stock kernel can be set to once is the same for all
/// threads of the functions, as any of them runs any function, and each task of the mix does
/// both; so nice and cpu.weight change what the bystander has, and nothing among functions or
/// tasks. Of a load of two parts the one that is measured may have a slice or a cgroup of its
/// own.
///
/// `coarse` leaves out those between others that differ little.
pub fn settings(args: &CompareArgs) -> Vec<Setting> {
    let (load, coarse, policies) = (args.load, args.coarse, &*args.policies);
    const SLICES_US: [u64; 5] = [100, 300, 1_000, 10_000, 100_000];
    let ends = [SLICES_US[0], SLICES_US[4]];
    let mut all = vec![
        Setting::new(Kind::Stock, "stock"),
        Setting::new(Kind::Again, "stock again"),
    ];

    if load == Load::Demo {
        demo(&mut all, &args.module);
        return all;
    }
    if !coarse || !load.has_parts() {
        all.push(Setting::new(Kind::Static, "SCHED_BATCH").started_by(&["chrt", "--batch", "0"]));
    }
    if !coarse && !load.has_parts() {
        for (name, prefix) in [
            ("nice 10", &["nice", "-n", "10"]),
            ("nice -10", &["nice", "-n", "-10"]),
        ] {
            all.push(Setting::new(Kind::Static, name).started_by(prefix));
        }
    }
    for us in SLICES_US {
        let name = format!("slice {} ms", us as f64 / 1e3);
        if !coarse || !load.has_parts() || ends.contains(&us) {
            all.push(Setting::new(Kind::Static, &name).with(&["--slice-us", &us.to_string()]));
        }
    }
    for us in SLICES_US {
        if !coarse || ends.contains(&us) {
            let name = format!("base_slice {} ms", us as f64 / 1e3);
            all.push(
                Setting::new(Kind::Static, &name).by(Means::Slice(slice::BASE, us * NS_PER_US)),
            );
        }
    }
    for path in &args.scx {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let setting = Setting::new(Kind::Other, &name.to_string_lossy());
        all.push(setting.by(Means::Scx(path.clone())));
    }
    if load.has_parts() {
        apart(&mut all, coarse);
    }
    match load {
        Load::Functions => functions(&mut all, &policies.join("announced.bpf.o"), coarse),
        Load::Mix => all.push(policy("learned", policies)),
        Load::Locks => locks(&mut all, policies, coarse),
        Load::Frames => in_groups(&mut all),
        Load::Requests | Load::Overload | Load::Demo => {
            in_groups(&mut all);
            all.push(policy("learned", policies));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn args(load: Load, coarse: bool) -> CompareArgs {
        CompareArgs {
            load,
            cpu: 1,
            seconds: 1,
            repeats: 1,
            coarse,
            seed: 1,
            policies: "p".into(),
            scx: vec!["bin/scx_simple".into()],
            module: vec!["rust_x cgroup={cgroup}".to_string()],
            loader: None,
            out: "o".into(),
        }
    }

    #[test]
    fn names_are_unique() {
        for load in Load::value_variants() {
            let all = settings(&args(*load, false));
            let mut names: Vec<_> = all.iter().map(|setting| &setting.name).collect();
            let count = names.len();

            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
            assert!(count > settings(&args(*load, true)).len() || *load == Load::Demo);
            assert_eq!((all[0].kind, all[1].kind), (Kind::Stock, Kind::Again));
        }
    }

    #[test]
    fn commands() {
        let words = |load, name: &str| {
            let all = settings(&args(load, false));
            let setting = all.iter().find(|setting| setting.name == name).unwrap();
            format!(
                "{:?}",
                setting.command(Path::new("x"), Path::new("l"), load)
            )
        };

        assert_eq!(words(Load::Functions, "stock"), r#""x" "functions""#);
        assert_eq!(
            words(Load::Functions, "SCHED_BATCH"),
            r#""chrt" "--batch" "0" "x" "functions""#
        );
        assert_eq!(
            words(Load::Functions, "slice 0.1 ms"),
            r#""x" "functions" "--slice-us" "100""#
        );
        assert_eq!(
            words(Load::Locks, "protect"),
            r#""x" "locks" "--protect-by" "l""#
        );
    }
}
