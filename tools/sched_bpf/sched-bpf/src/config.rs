// SPDX-License-Identifier: GPL-2.0

//! The configuration of the service: files that say which policies are to be attached.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use crate::attach;
use crate::cli::{PlaceArgs, PolicyArgs, Setting};
use crate::kernel;
use crate::target::Target;

/// Where it is, unless told otherwise.
pub const DIR: &str = "/etc/sched_bpf";

/// The value of an option.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(untagged, expecting = "a number, true or false is expected")]
pub enum Value {
    /// true or false
    Bool(bool),
    /// A number
    Number(i64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
        }
    }
}

/// One `[[policy]]` of a file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name in the configuration, which a reload knows it by
    pub name: String,
    /// A BPF object, or none for the policy that comes with sched-bpf
    pub object: Option<PathBuf>,
    /// The cgroups that it is attached to
    #[serde(default)]
    pub cgroups: Vec<PathBuf>,
    /// It is for every task
    #[serde(default)]
    pub all: bool,
    /// As --cap, in milliseconds
    pub cap_ms: Option<u64>,
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
    /// The file that it is in
    #[serde(skip)]
    pub file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: Vec<Entry>,
}

impl Entry {
    /// What `attach` would be told.
    pub fn policy_args(&self) -> PolicyArgs {
        PolicyArgs {
            cap: self.cap_ms,
            shadow: self.shadow,
            set: self
                .options
                .iter()
                .map(|(name, value)| Setting {
                    name: name.clone(),
                    value: value.to_string(),
                })
                .collect(),
        }
    }

    /// Where `attach` would put it.
    pub fn place_args(&self) -> PlaceArgs {
        PlaceArgs {
            before: self.first.then_some(None),
            after: None,
            preorder: self.preorder,
        }
    }

    /// Each target, with a name for it.
    pub fn targets(&self) -> Result<Vec<(String, Target)>> {
        if self.all {
            return Ok(vec![(self.name.clone(), Target::All)]);
        }
        self.cgroups
            .iter()
            .map(|path| {
                let target = Target::cgroup(path)
                    .with_context(|| format!("policy {}: cgroup {}", self.name, path.display()))?;
                Ok((format!("{} {}", self.name, path.display()), target))
            })
            .collect()
    }

    fn check(&self) -> Result<()> {
        ensure!(
            !self.name.is_empty() && !self.name.contains(char::is_whitespace),
            "name '{}': one word is expected",
            self.name
        );
        ensure!(
            self.all == self.cgroups.is_empty(),
            "policy {}: either cgroups = [\"/sys/fs/cgroup/...\"] or all = true is expected",
            self.name
        );
        for (i, path) in self.cgroups.iter().enumerate() {
            ensure!(
                !self.cgroups[..i].contains(path),
                "policy {}: cgroup {} is there twice",
                self.name,
                path.display()
            );
        }
        Ok(())
    }
}

/// Parses a file.
fn parse(text: &str) -> Result<Vec<Entry>> {
    let file: File = toml::from_str(text).map_err(|e| {
        let line = e
            .span()
            .map(|span| text[..span.start].matches('\n').count());
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

/// Reads the files of a directory, in the order of their names, or a single file.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let mut files = Vec::new();
    ensure!(
        path.exists(),
        "{}: no such file or directory; a file NAME.toml, or a directory of such, is expected",
        path.display()
    );
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
            let file = entry?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                files.push(file);
            }
        }
        ensure!(
            !files.is_empty(),
            "{}: no configuration there; a file NAME.toml is expected",
            path.display()
        );
        files.sort();
    } else {
        files.push(path.to_path_buf());
    }

    let mut all: Vec<Entry> = Vec::new();
    for file in files {
        let name = file.display();
        let text = fs::read_to_string(&file).with_context(|| format!("{name}"))?;
        for mut entry in parse(&text).with_context(|| format!("{name}"))? {
            if all.iter().any(|other| other.name == entry.name) {
                bail!("{name}: policy {}: there is one of this name", entry.name);
            }
            entry.file.clone_from(&file);
            all.push(entry);
        }
    }
    Ok(all)
}

/// Would the configuration be attached as it is? Loads all, attaches nothing.
pub fn check(path: &Path) -> Result<usize> {
    let entries = read(path)?;

    kernel::require_policies()?;
    for entry in &entries {
        for (_, target) in entry.targets()? {
            attach::load(entry.object.as_deref(), &entry.policy_args(), &target)
                .with_context(|| format!("{}: policy {}", entry.file.display(), entry.name))?;
        }
    }
    Ok(entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole() {
        let all = parse(
            "[[policy]]\nname = \"web\"\ncgroups = [\"/sys/fs/cgroup/web\"]\ncap_ms = 20\n\
             shadow = true\n[[policy]]\nname = \"mine\"\nobject = \"/x.bpf.o\"\nall = true\n\
             options = { batch = 7, fast = true }\n",
        )
        .unwrap();

        assert_eq!(all[0].policy_args().cap, Some(20));
        assert!(all[0].shadow && !all[0].all);
        assert_eq!(all[1].policy_args().set[1].value, "true");
    }

    #[test]
    fn errors_name_line_and_what_is_accepted() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());

        let unknown = error("[[policy]]\nname = \"a\"\nall = true\ncolour = 1\n");
        assert!(
            unknown.contains("line 4") && unknown.contains("colour"),
            "{unknown}"
        );
        assert!(error("[[policy]]\nname = \"a\"\n").contains("either cgroups"));
        let option = error("[[policy]]\nname = \"a\"\nall = true\noptions = { x = \"y\" }\n");
        assert!(option.contains("a number, true or false"), "{option}");
        assert!(error("[[policy]]\nname = \"a b\"\nall = true\n").contains("one word"));
    }
}
