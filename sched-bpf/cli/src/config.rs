// SPDX-License-Identifier: GPL-2.0

//! The configuration of the service: files that list policies and their targets.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use sched_bpf_core::attach::Spec;
use sched_bpf_core::object::Setting;
use sched_bpf_core::target::{Cgroup, Target};
use sched_bpf_core::{cgroup, link};
use serde::Deserialize;

use crate::args::{self, PlaceArgs, PolicyArgs};
use crate::output::Output;
use crate::request::{self, require_policies};

/// The value of an option.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged, expecting = "give a number, true, false, or a time such as \"500us\"")]
pub enum Value {
    Bool(bool),
    Number(i64),
    Time(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Time(value) => value.fmt(f),
        }
    }
}

/// A target of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Cgroup(PathBuf),
    Unit(String),
    All,
}

impl Place {
    /// Return the directory of the cgroup, which may not exist.
    pub fn path(&self) -> Result<PathBuf> {
        match self {
            Self::Cgroup(path) => Ok(path.clone()),
            Self::Unit(unit) => cgroup::of_unit(unit).with_context(|| format!("unit {unit}")),
            Self::All => cgroup::root(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Cgroup(path) => path.display().fmt(f),
            Self::Unit(unit) => unit.fmt(f),
            Self::All => f.write_str("all tasks"),
        }
    }
}

/// One `[[policy]]` of a file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name in the configuration, which a reload finds it by
    pub name: String,
    /// A BPF object or a bundled policy; "protect" by default
    pub file: Option<PathBuf>,
    /// The cgroups that it is attached to
    #[serde(default)]
    pub cgroups: Vec<PathBuf>,
    /// The systemd units that it is attached to
    #[serde(default)]
    pub units: Vec<String>,
    /// It is for all tasks
    #[serde(default)]
    pub all: bool,
    pub cap: Option<String>,
    /// As --shadow
    #[serde(default)]
    pub shadow: bool,
    /// As --preorder
    #[serde(default)]
    pub preorder: bool,
    /// As --before, without a link
    #[serde(default)]
    pub first: bool,
    /// As --set
    #[serde(default)]
    pub options: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: Vec<Entry>,
}

impl Entry {
    /// Return the policy.
    pub fn spec(&self) -> Result<Spec> {
        let cap = self.cap.as_deref().map(args::time).transpose();
        let setting = |(name, value): (&String, &Value)| Setting {
            name: name.clone(),
            value: value.to_string(),
        };
        let args = PolicyArgs {
            cap: cap.map_err(|e| anyhow::anyhow!("cap: {e}"))?,
            shadow: self.shadow,
            set: self.options.iter().map(setting).collect(),
        };

        request::spec(self.file.as_deref(), &args, self.all)
    }

    /// Return the place among others.
    pub fn place(&self) -> Result<link::Place> {
        request::place(&PlaceArgs {
            before: self.first.then_some(None),
            after: None,
            preorder: self.preorder,
        })
    }

    /// Return its targets.
    pub fn places(&self) -> Vec<Place> {
        let cgroups = self.cgroups.iter().cloned().map(Place::Cgroup);
        let units = self.units.iter().cloned().map(Place::Unit);

        cgroups.chain(units).chain(self.all.then_some(Place::All)).collect()
    }

    fn check(&self) -> Result<()> {
        ensure!(
            !self.name.is_empty() && !self.name.contains(char::is_whitespace),
            "name '{}': give one word",
            self.name
        );
        let places = self.places();
        ensure!(
            !places.is_empty() && (places.len() == 1 || !self.all),
            "policy {}: give cgroups = [\"/sys/fs/cgroup/...\"], units = [\"NAME.service\"] or \
             all = true",
            self.name
        );
        for (i, place) in places.iter().enumerate() {
            ensure!(!places[..i].contains(place), "policy {}: {place} is there twice", self.name);
        }
        if let Some(cap) = &self.cap {
            args::time(cap)
                .map_err(|e| anyhow::anyhow!("policy {}: cap '{cap}': {e}", self.name))?;
        }
        Ok(())
    }

    /// Load the policy and attach nothing.
    fn check_load(&self) -> Result<()> {
        let target = Target::Cgroup(Cgroup::root()?);

        self.spec()
            .and_then(|spec| spec.load(&target))
            .with_context(|| format!("policy {}", self.name))?;
        Ok(())
    }
}

/// Parse a file.
fn parse(text: &str) -> Result<Vec<Entry>> {
    let file: File = toml::from_str(text).map_err(|e| {
        let line = e.span().map(|span| text[..span.start].matches('\n').count());
        match line {
            Some(line) => anyhow::anyhow!(
                "line {}, '{}': {}",
                line + 1,
                text.lines().nth(line).unwrap_or_default().trim(),
                e.message()
            ),
            None => anyhow::anyhow!("{}", e.message()),
        }
    })?;

    file.policy.iter().try_for_each(Entry::check)?;
    Ok(file.policy)
}

/// Read the files of a directory, in the order of their names, or a single file.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let mut files = Vec::new();
    ensure!(
        path.exists(),
        "{}: no such file or directory; give a file NAME.toml or a directory of such files",
        path.display()
    );
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "toml") {
                files.push(file);
            }
        }
        files.sort();
    } else {
        files.push(path.to_path_buf());
    }

    let mut all: Vec<Entry> = Vec::new();
    for file in files {
        let name = file.display();
        let text = fs::read_to_string(&file).with_context(|| format!("{name}"))?;
        for entry in parse(&text).with_context(|| format!("{name}"))? {
            if all.iter().any(|other| other.name == entry.name) {
                bail!("{name}: policy {}: the name is used twice", entry.name);
            }
            all.push(entry);
        }
    }
    Ok(all)
}

/// Load all policies of a configuration and attach none.
pub fn check(path: &Path, out: Output) -> Result<()> {
    let entries = read(path)?;

    ensure!(!entries.is_empty(), "{}: no configuration; make a file NAME.toml", path.display());
    require_policies()?;
    entries.iter().try_for_each(Entry::check_load)?;
    let count = format!("policies: {}", entries.len());
    out.event("checked", &path.display().to_string(), &count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole() {
        let all = parse(
            "[[policy]]\nname = \"web\"\ncgroups = [\"/sys/fs/cgroup/web\"]\nunits = [\"a.service\"]\n\
             cap = \"20ms\"\nshadow = true\n[[policy]]\nname = \"mine\"\nfile = \"learned\"\n\
             all = true\noptions = { short_ns = \"2ms\", fast = true }\n",
        )
        .unwrap();

        assert_eq!(all[0].spec().unwrap().cap.unwrap().as_millis(), 20);
        assert_eq!(all[0].places().len(), 2);
        let spec = all[1].spec().unwrap();
        assert_eq!((&*spec.set[0].value, &*spec.set[1].value), ("true", "2ms"));
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());

        let unknown = error("[[policy]]\nname = \"a\"\nall = true\ncolour = 1\n");
        assert!(unknown.contains("line 4") && unknown.contains("colour"));
        assert!(error("[[policy]]\nname = \"a\"\n").contains("give cgroups"));
        let option = error("[[policy]]\nname = \"a\"\nall = true\noptions = { x = 1.5 }\n");
        assert!(option.contains("give a number"), "{option}");
        assert!(error("[[policy]]\nname = \"a b\"\nall = true\n").contains("one word"));
        let cap = error("[[policy]]\nname = \"a\"\nunits = [\"b\"]\ncap = \"20\"\n");
        assert!(cap.contains("such as 500us"), "{cap}");
    }

    #[test]
    fn protect_is_not_for_all() {
        let all = parse("[[policy]]\nname = \"a\"\nall = true\n").unwrap();
        assert!(all[0].spec().unwrap_err().to_string().contains("needs a FILE"));
    }
}
