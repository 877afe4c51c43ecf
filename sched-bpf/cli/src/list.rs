// SPDX-License-Identifier: GPL-2.0

//! `list`: attached policies with their counters, and pins.

use std::fmt::Write;

use anyhow::Result;
use sched_bpf_core::pins::{self, Pin};
use sched_bpf_core::snapshot::{Seen, Snapshot};
use serde::Serialize;

use crate::output::Output;

#[derive(Serialize)]
struct All {
    #[serde(flatten)]
    snapshot: Snapshot,
    pins: Vec<Pin>,
}

/// Print them.
pub fn list(out: Output) -> Result<()> {
    let all = All { snapshot: Snapshot::take()?, pins: pins::list()? };

    out.print(&all, &text(&all))
}

/// Return the name of a hook without the parts that all have.
pub fn short(hook: &str) -> &str {
    let hook = hook.strip_prefix("cfs_").unwrap_or(hook);
    hook.strip_prefix("check_").unwrap_or(hook)
}

/// Return the end of a text that does not fit, which tells more of a path.
pub fn end_of(text: &str, width: usize) -> String {
    match text.char_indices().rev().nth(width - 1) {
        Some((at, _)) if at > 0 => {
            let rest: String = text[at..].chars().skip(1).collect();
            format!("~{rest}")
        }
        _ => text.to_string(),
    }
}

fn text(all: &All) -> String {
    let mut out = String::new();

    // Writing to a string does not fail.
    if !all.snapshot.enabled {
        out.push_str("policies are off; turn them on: sched-bpf on\n");
    }
    if all.snapshot.policies.is_empty() {
        out.push_str("no policy is attached\n");
    } else {
        let _ = writeln!(
            out,
            "{:>7} {:<15} {:<8} {:<25} {:<17} {:>9} {:>7} {:>5}",
            "LINK", "POLICY", "STATE", "TARGET", "HOOK", "CALLS", "REJECT", "DIFF"
        );
    }
    for seen in &all.snapshot.policies {
        rows(&mut out, seen);
    }
    for pin in &all.pins {
        let state = match (pin.link, pin.attached) {
            (None, _) => "not the link of a policy".to_string(),
            (Some(link), true) => format!("link {link}"),
            (Some(link), false) => format!("link {link}, detached"),
        };
        let _ = writeln!(out, "pin {}: {state}", pin.pin.display());
    }
    out
}

/// Write a row for each hook of a policy.
fn rows(out: &mut String, seen: &Seen) {
    let policy = &seen.policy;
    let link = match policy.link {
        0 => "module".to_string(),
        link => link.to_string(),
    };

    for hook in &policy.hooks {
        let _ = writeln!(
            out,
            "{link:>7} {:<15} {:<8} {:<25} {:<17} {:>9} {:>7} {:>5}",
            policy.name,
            policy.state,
            end_of(&seen.target, 25),
            end_of(short(&hook.hook), 17),
            count(hook.calls),
            count(hook.all_rejected()),
            count(hook.differ)
        );
    }
}

/// Write a number in at most five characters.
pub fn count(n: u64) -> String {
    match n {
        0..=99_999 => n.to_string(),
        100_000..=999_999 => format!("{}k", n / 1000),
        1_000_000..=9_999_999_999 => format!("{}M", n / 1_000_000),
        _ => format!("{}G", n / 1_000_000_000),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use sched_bpf_core::state::parse_link;

    /// A policy with a hook, as the kernel shows it.
    pub fn seen(link: u32, name: &str, target: &str, calls: u64) -> Seen {
        let text = format!(
            "link_type:\tstruct_ops\nlink_id:\t{link}\nmap_id:\t9\ncgroup_id:\t1\npolicy:\t{name}\n\
             state:\tshadow\ncfs_check_preempt_wakeup:\tcalls {calls} negative 4 positive 1 \
             rejected_kthread 2 rejected_eligible 0 differ 3\n"
        );
        Seen {
            policy: parse_link(&text).unwrap().1.unwrap(),
            target: target.to_string(),
            position: Some(0),
            options: [("cap_ns".to_string(), 2_500_000)].into(),
        }
    }

    #[test]
    fn at_most_100_columns() {
        let long = "/sys/fs/cgroup/workload.slice/workload-of-the-web.slice/web.service";
        let all = All {
            snapshot: Snapshot {
                enabled: false,
                policies: vec![
                    seen(4_000_000, "protect_cgroup_", long, 123_456_789_012),
                    seen(7, "pass", "/sys/fs/cgroup", 12),
                ],
            },
            pins: vec![Pin {
                pin: "/sys/fs/bpf/sched_bpf/pass-7".into(),
                link: Some(7),
                attached: false,
            }],
        };
        let text = text(&all);

        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn numbers_and_paths_fit() {
        assert_eq!(end_of("abcdef", 4), "~def");
        assert_eq!(end_of("abcd", 4), "abcd");
        assert_eq!(end_of("abc", 4), "abc");
        assert_eq!(count(99_999), "99999");
        assert_eq!(count(123_456), "123k");
        assert_eq!(count(u64::MAX).len(), 12);
    }
}
