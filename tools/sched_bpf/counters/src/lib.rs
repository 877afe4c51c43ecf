// SPDX-License-Identifier: GPL-2.0

//! What the kernel shows of attached policies, read from debugfs, and its knobs.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use serde::Serialize;

/// Where debugfs is mounted.
const DEBUGFS: &str = "/sys/kernel/debug";

/// The policies file: a header, then a line for each policy.
pub const POLICIES: &str = "/sys/kernel/debug/sched/bpf/policies";

/// The counters file: a header, then a line for each policy and hook it answers.
pub const COUNTERS: &str = "/sys/kernel/debug/sched/bpf/counters";

/// The knobs.
pub const KNOBS: &str = "/sys/kernel/bpf_sched";

/// `BPF_SCHED_F_SHADOW`: asked and counted, never obeyed.
pub const SHADOW: u64 = 1;

/// An attached policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Number of the attachment; the kernel does not reuse it.
    pub id: u32,
    /// Name in the table of the policy.
    pub name: String,
    /// `bpf` or `module`.
    pub provider: String,
    /// Number of the link, 0 for a module.
    pub link: u32,
    /// Number of the table, 0 for a module.
    pub map: u32,
    /// Id of the cgroup that it is attached to, 0 for none.
    pub cgroup: u64,
    /// Its place among those attached there.
    pub position: u64,
    /// 1 if asked before those of deeper cgroups.
    pub preorder: u64,
    /// Flags in the table of the policy.
    pub flags: u64,
    /// Boot time of its attachment.
    pub attached_ns: u64,
    /// The kernel module, or `-`.
    pub module: String,
}

impl Policy {
    /// Is it asked and not obeyed?
    pub fn is_shadow(&self) -> bool {
        self.flags & SHADOW != 0
    }
}

/// How often one hook of one policy was asked, and how it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookCounters {
    /// Number of the attachment; the kernel does not reuse it.
    #[serde(skip)]
    pub id: u32,
    /// Name in the table of the policy.
    #[serde(skip)]
    pub name: String,
    /// The hook.
    pub hook: String,
    /// Number of the program, 0 for a module.
    pub prog: u32,
    /// Times asked.
    pub calls: u64,
    /// Answers below zero.
    pub negative: u64,
    /// Answers of zero, no opinion.
    pub zero: u64,
    /// Answers above zero.
    pub positive: u64,
    /// Answers that a bound of the kernel set aside.
    pub overruled: u64,
    /// Those, by bound.
    pub overruled_by: Vec<(String, u64)>,
    /// Answers of a shadow policy that would have changed something.
    pub differ: u64,
    /// Calls that were timed to bound what the policy takes.
    pub timed: u64,
    /// Time of all calls while `kernel.bpf_stats_enabled` is 1.
    pub time_ns: u64,
    /// Time of the longest of them.
    pub max_ns: u64,
}

impl HookCounters {
    /// What was counted since `before`, of the same policy and hook. The longest call
    /// stays the longest.
    pub fn since(&self, before: &Self) -> Self {
        let by = |bound: &str| {
            let found = before.overruled_by.iter().find(|(name, _)| name == bound);
            found.map_or(0, |(_, count)| *count)
        };

        Self {
            calls: self.calls.saturating_sub(before.calls),
            negative: self.negative.saturating_sub(before.negative),
            zero: self.zero.saturating_sub(before.zero),
            positive: self.positive.saturating_sub(before.positive),
            overruled: self.overruled.saturating_sub(before.overruled),
            overruled_by: self
                .overruled_by
                .iter()
                .map(|(bound, count)| (bound.clone(), count.saturating_sub(by(bound))))
                .collect(),
            differ: self.differ.saturating_sub(before.differ),
            timed: self.timed.saturating_sub(before.timed),
            time_ns: self.time_ns.saturating_sub(before.time_ns),
            ..self.clone()
        }
    }
}

/// Reads the counters of all attached policies, by age.
pub fn read() -> Result<Vec<HookCounters>> {
    parse(&text_of(COUNTERS)?).context(COUNTERS)
}

/// Reads which policies are attached, by age.
pub fn policies() -> Result<Vec<Policy>> {
    parse_policies(&text_of(POLICIES)?).context(POLICIES)
}

fn text_of(path: &str) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == ErrorKind::NotFound && !Path::new(KNOBS).exists() => {
            bail!(
                "{KNOBS}: not there: this kernel has no scheduler hooks for BPF; \
                 one built with CONFIG_BPF_SCHED is needed"
            )
        }
        Err(e) if e.kind() == ErrorKind::NotFound && !Path::new(DEBUGFS).join("sched").exists() => {
            bail!("{path}: no debugfs there; mount it: mount -t debugfs none {DEBUGFS}")
        }
        Err(e) => {
            Err(e).with_context(|| format!("{path}: cannot be read (only root may, by default)"))
        }
    }
}

/// A number of the kernel, in [`KNOBS`].
pub fn knob(name: &str) -> Result<u64> {
    let path = format!("{KNOBS}/{name}");
    let text = text_of(&path)?;

    text.trim()
        .parse()
        .with_context(|| format!("{path}: '{}' is no number", text.trim()))
}

/// Is any policy asked at all?
pub fn enabled() -> Result<bool> {
    Ok(knob("enabled")? != 0)
}

/// A line, whose columns are found by their names in the header, so that a kernel may
/// add some.
struct Line<'a> {
    text: &'a str,
    header: &'a [&'a str],
    fields: HashMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    fn text(&self, column: &str) -> Result<&'a str> {
        self.fields
            .get(column)
            .copied()
            .with_context(|| format!("the header has no column '{column}'"))
    }

    fn number<N: TryFrom<u64>>(&self, column: &str) -> Result<N> {
        let value = self.text(column)?;

        value
            .parse::<u64>()
            .ok()
            .and_then(|number| N::try_from(number).ok())
            .with_context(|| format!("{column} '{value}' in line '{}' is no number", self.text))
    }
}

fn parse_table<T>(text: &str, row: impl Fn(&Line) -> Result<T>) -> Result<Vec<T>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines
        .next()
        .context("empty, a header was expected")?
        .split_whitespace()
        .collect();

    lines
        .map(|text| {
            let fields: Vec<&str> = text.split_whitespace().collect();
            ensure!(
                fields.len() == header.len(),
                "line '{text}' has {} fields, the header has {}",
                fields.len(),
                header.len()
            );
            let fields = header.iter().copied().zip(fields).collect();
            let header = &header;
            row(&Line {
                text,
                header,
                fields,
            })
        })
        .collect()
}

/// Parses the policies file.
pub fn parse_policies(text: &str) -> Result<Vec<Policy>> {
    parse_table(text, |line| {
        Ok(Policy {
            id: line.number("id")?,
            name: line.text("name")?.to_string(),
            provider: line.text("provider")?.to_string(),
            link: line.number("link")?,
            map: line.number("map")?,
            cgroup: line.number("cgroup")?,
            position: line.number("position")?,
            preorder: line.number("preorder")?,
            flags: line.number("flags")?,
            attached_ns: line.number("attached_ns")?,
            module: line.text("module")?.to_string(),
        })
    })
}

/// Parses the counters file.
pub fn parse(text: &str) -> Result<Vec<HookCounters>> {
    parse_table(text, |line| {
        let bounds = line
            .header
            .iter()
            .filter_map(|column| Some((*column, column.strip_prefix("overruled_")?)));

        Ok(HookCounters {
            id: line.number("id")?,
            name: line.text("name")?.to_string(),
            hook: line.text("hook")?.to_string(),
            prog: line.number("prog")?,
            calls: line.number("calls")?,
            negative: line.number("negative")?,
            zero: line.number("zero")?,
            positive: line.number("positive")?,
            overruled: line.number("overruled")?,
            overruled_by: bounds
                .map(|(column, bound)| Ok((bound.to_string(), line.number(column)?)))
                .collect::<Result<_>>()?,
            differ: line.number("differ")?,
            timed: line.number("timed")?,
            time_ns: line.number("time_ns")?,
            max_ns: line.number("max_ns")?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "id name hook prog calls negative zero positive overruled \
                          overruled_slice overruled_short differ timed time_ns max_ns\n";

    #[test]
    fn no_policy() {
        assert_eq!(parse(HEADER).unwrap(), []);
    }

    #[test]
    fn one_line() {
        let all = parse(&format!(
            "{HEADER}3 protect cfs_check_preempt_tick 21 9 4 3 2 1 1 0 7 6 500 90\n"
        ))
        .unwrap();
        assert_eq!(
            all,
            [HookCounters {
                id: 3,
                name: "protect".into(),
                hook: "cfs_check_preempt_tick".into(),
                prog: 21,
                calls: 9,
                negative: 4,
                zero: 3,
                positive: 2,
                overruled: 1,
                overruled_by: vec![("slice".into(), 1), ("short".into(), 0)],
                differ: 7,
                timed: 6,
                time_ns: 500,
                max_ns: 90,
            }]
        );
    }

    #[test]
    fn one_policy() {
        let all = parse_policies(
            "id name provider link map cgroup position preorder flags attached_ns module\n\
             2 latency module 0 0 7 1 0 1 23 rust_sched_latency\n",
        )
        .unwrap();
        assert!(all[0].is_shadow());
        assert_eq!((all[0].cgroup, all[0].position), (7, 1));
        assert_eq!(all[0].module, "rust_sched_latency");
    }

    #[test]
    fn unknown_column_and_other_order() {
        let all = parse(
            "id name hook prog new max_ns time_ns timed differ overruled \
             positive zero negative calls\n\
             1 a h 0 77 0 0 0 0 1 2 3 4 9\n",
        )
        .unwrap();
        assert_eq!((all[0].calls, all[0].overruled), (9, 1));
    }

    #[test]
    fn errors_name_the_fault() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());

        assert!(error("").contains("header"));
        assert!(error(&format!("{HEADER}1 a h 1 2 3\n")).contains("6 fields"));
        assert!(error(&format!("{HEADER}1 a h 0 x 0 0 0 0 0 0 0 0 0 0\n")).contains("calls 'x'"));
        assert!(error("id name\n1 a\n").contains("column"));
    }

    #[test]
    fn difference() {
        let all = parse(&format!(
            "{HEADER}1 a h 0 5 1 4 0 0 0 0 0 0 0 0\n1 a h 0 9 2 5 2 1 1 0 3 0 70 40\n"
        ))
        .unwrap();
        let delta = all[1].since(&all[0]);
        assert_eq!((delta.calls, delta.negative, delta.zero), (4, 1, 1));
        assert_eq!((delta.positive, delta.overruled), (2, 1));
        assert_eq!(delta.overruled_by[0], ("slice".to_string(), 1));
        assert_eq!((delta.differ, delta.time_ns, delta.max_ns), (3, 70, 40));
    }
}
