// SPDX-License-Identifier: GPL-2.0

//! `list`: what is attached, what it answered, what is kept.

use std::fmt::Write;

use anyhow::Result;
use comfy_table::{presets, CellAlignment, Table};
use serde::Serialize;

use crate::cli::ListArgs;
use crate::pins;
use crate::snapshot::{Seen, Snapshot};

#[derive(Serialize)]
struct Kept {
    pin: String,
    link: Option<u32>,
    attached: bool,
}

#[derive(Serialize)]
struct All {
    #[serde(flatten)]
    snapshot: Snapshot,
    kept: Vec<Kept>,
}

/// Prints attached policies with their counters, then kept ones.
pub fn list(args: &ListArgs) -> Result<()> {
    let all = All {
        snapshot: Snapshot::take()?,
        kept: kept()?,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&all)? + "\n"
    } else {
        text(&all)
    };

    crate::print(&text)
}

fn kept() -> Result<Vec<Kept>> {
    Ok(pins::all()?
        .into_iter()
        .map(|path| {
            let pinned = pins::open(&path).ok();
            Kept {
                pin: path.display().to_string(),
                link: pinned.as_ref().map(|pinned| pinned.id),
                attached: pinned.is_some_and(|pinned| pinned.attached),
            }
        })
        .collect())
}

fn text(all: &All) -> String {
    let mut out = String::new();

    // Writing to a string does not fail.
    if !all.snapshot.enabled {
        let _ = writeln!(
            out,
            "switched off: no policy is asked until 1 is written to {}/enabled",
            sched_bpf_counters::KNOBS
        );
    }
    out.push_str(&policies(&all.snapshot.policies));
    for kept in &all.kept {
        let what = match (kept.link, kept.attached) {
            (None, _) => "not the link of a policy".to_string(),
            (Some(link), true) => format!("link {link}"),
            (Some(link), false) => format!("link {link}, detached"),
        };
        let _ = writeln!(out, "kept: {} ({what})", kept.pin);
    }
    out
}

fn policies(all: &[Seen]) -> String {
    if all.is_empty() {
        return "no policy is attached\n".to_string();
    }
    let header = [
        "ID",
        "LINK",
        "NAME",
        "BY",
        "TARGET",
        "CAP",
        "MODE",
        "HOOK",
        "CALLS",
        "NEGATIVE",
        "ZERO",
        "POSITIVE",
        "OVERRULED",
        "DIFFER",
    ];
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);

    for seen in all {
        let policy = &seen.policy;
        let by = match policy.module.as_str() {
            "-" => policy.provider.clone(),
            module => module.to_string(),
        };
        let cap = seen
            .cap_ms()
            .map_or("-".to_string(), |cap| format!("{cap}ms"));
        let link = match policy.link {
            0 => "-".to_string(),
            link => link.to_string(),
        };
        let mut mode = vec![if seen.shadow { "shadow" } else { "obeyed" }];
        if policy.preorder != 0 {
            mode.push("preorder");
        }
        for hook in &seen.hooks {
            let mut row = vec![
                policy.id.to_string(),
                link.clone(),
                policy.name.clone(),
                by.clone(),
                seen.target.clone(),
                cap.clone(),
                mode.join(","),
                hook.hook.clone(),
            ];
            row.extend(
                [
                    hook.calls,
                    hook.negative,
                    hook.zero,
                    hook.positive,
                    hook.overruled,
                    hook.differ,
                ]
                .map(|count| count.to_string()),
            );
            table.add_row(row);
        }
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if i >= 8 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::snapshot;

    #[test]
    fn table() {
        assert_eq!(policies(&[]), "no policy is attached\n");

        let table = policies(&snapshot().policies);
        let lines: Vec<Vec<_>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0].len(), lines[1].len(), "{table}");
        assert_eq!(
            lines[1],
            [
                "7",
                "3",
                "protect_all",
                "bpf",
                "system",
                "2.5ms",
                "shadow",
                "cfs_check_preempt_tick",
                "5",
                "4",
                "1",
                "0",
                "2",
                "8"
            ]
        );
    }

    #[test]
    fn switched_off_and_kept() {
        let text = text(&All {
            snapshot: Snapshot {
                enabled: false,
                policies: Vec::new(),
            },
            kept: vec![Kept {
                pin: "/p".into(),
                link: Some(4),
                attached: false,
            }],
        });

        assert!(text.starts_with("switched off"), "{text}");
        assert!(text.ends_with("kept: /p (link 4, detached)\n"), "{text}");
    }
}
