// SPDX-License-Identifier: GPL-2.0

//! What the kernel counts of each attached policy, read from debugfs.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};

/// Where debugfs is mounted.
const DEBUGFS: &str = "/sys/kernel/debug";

/// The counters file: a header, then a line for each policy and hook it answers.
pub const COUNTERS: &str = "/sys/kernel/debug/sched/bpf/counters";

/// How often one hook of one policy was asked, and how it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCounters {
    /// Number of the attachment; the kernel does not reuse it.
    pub id: u32,
    /// Name in the table of the policy.
    pub name: String,
    /// The hook.
    pub hook: String,
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
}

impl HookCounters {
    /// What was counted since `before`, of the same policy and hook.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(before.calls),
            negative: self.negative.saturating_sub(before.negative),
            zero: self.zero.saturating_sub(before.zero),
            positive: self.positive.saturating_sub(before.positive),
            overruled: self.overruled.saturating_sub(before.overruled),
            ..self.clone()
        }
    }
}

/// Reads the counters of all attached policies, by age.
pub fn read() -> Result<Vec<HookCounters>> {
    let text = match fs::read_to_string(COUNTERS) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound && !Path::new(DEBUGFS).join("sched").exists() => {
            bail!("{COUNTERS}: no debugfs there; mount it: mount -t debugfs none {DEBUGFS}")
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            bail!("{COUNTERS}: this kernel has no scheduler hooks for BPF")
        }
        Err(e) => {
            return Err(e)
                .with_context(|| format!("{COUNTERS}: cannot be read (only root may, by default)"))
        }
    };

    parse(&text).with_context(|| COUNTERS.to_string())
}

/// Parses the counters file. Columns are found by their names in the header, so
/// that a kernel may add some.
pub fn parse(text: &str) -> Result<Vec<HookCounters>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines
        .next()
        .context("empty, a header was expected")?
        .split_whitespace()
        .collect();

    lines.map(|line| parse_line(&header, line)).collect()
}

fn parse_line(header: &[&str], line: &str) -> Result<HookCounters> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    ensure!(
        fields.len() == header.len(),
        "line '{line}' has {} fields, the header has {}",
        fields.len(),
        header.len()
    );
    let by_name: HashMap<&str, &str> = header.iter().copied().zip(fields).collect();

    let text = |column: &str| {
        by_name
            .get(column)
            .copied()
            .with_context(|| format!("the header has no column '{column}'"))
    };
    let number = |column: &str| -> Result<u64> {
        let value = text(column)?;
        value
            .parse()
            .with_context(|| format!("{column} '{value}' in line '{line}' is no number"))
    };

    Ok(HookCounters {
        id: u32::try_from(number("id")?).with_context(|| format!("id in line '{line}'"))?,
        name: text("name")?.to_string(),
        hook: text("hook")?.to_string(),
        calls: number("calls")?,
        negative: number("negative")?,
        zero: number("zero")?,
        positive: number("positive")?,
        overruled: number("overruled")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "id name hook calls negative zero positive overruled\n";

    #[test]
    fn no_policy() {
        assert_eq!(parse(HEADER).unwrap(), []);
    }

    #[test]
    fn one_line() {
        let all = parse(&format!(
            "{HEADER}3 protect cfs_check_preempt_tick 9 4 3 2 1\n"
        ))
        .unwrap();
        assert_eq!(
            all,
            [HookCounters {
                id: 3,
                name: "protect".into(),
                hook: "cfs_check_preempt_tick".into(),
                calls: 9,
                negative: 4,
                zero: 3,
                positive: 2,
                overruled: 1,
            }]
        );
    }

    #[test]
    fn unknown_column_and_other_order() {
        let all = parse(
            "id name hook new overruled positive zero negative calls\n\
             1 a h 77 1 2 3 4 9\n",
        )
        .unwrap();
        assert_eq!((all[0].calls, all[0].overruled), (9, 1));
    }

    #[test]
    fn errors_name_the_fault() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());

        assert!(error("").contains("header"));
        assert!(error(&format!("{HEADER}1 a h 1 2 3\n")).contains("6 fields"));
        assert!(error(&format!("{HEADER}1 a h x 0 0 0 0\n")).contains("calls 'x'"));
        assert!(error("id name\n1 a\n").contains("column"));
    }

    #[test]
    fn difference() {
        let all = parse(&format!("{HEADER}1 a h 5 1 4 0 0\n1 a h 9 2 5 2 1\n")).unwrap();
        let delta = all[1].since(&all[0]);
        assert_eq!((delta.calls, delta.negative, delta.zero), (4, 1, 1));
        assert_eq!((delta.positive, delta.overruled), (2, 1));
    }
}
