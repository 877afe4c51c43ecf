// SPDX-License-Identifier: GPL-2.0

//! `top`: the rates of policies.

use std::fmt::Write;
use std::io::{stdout, IsTerminal};
use std::thread;
use std::time::Instant;

use anyhow::{ensure, Result};
use sched_bpf_core::snapshot::Snapshot;
use sched_bpf_core::state::Hook;

use crate::args::TopArgs;
use crate::list::{count, end_of, short};
use crate::output::{self, Output};

/// The growth of the counters of a hook between two looks.
struct Row<'a> {
    link: u32,
    name: &'a str,
    state: &'a str,
    target: &'a str,
    delta: Hook,
}

fn rows<'a>(before: &Snapshot, after: &'a Snapshot) -> Vec<Row<'a>> {
    let mut rows = Vec::new();

    for seen in &after.policies {
        let old = before.policies.iter().find(|old| old.policy.is_same(&seen.policy));
        for hook in &seen.policy.hooks {
            let from = old.and_then(|old| old.policy.hooks.iter().find(|h| h.hook == hook.hook));
            rows.push(Row {
                link: seen.policy.link,
                name: &seen.policy.name,
                state: &seen.policy.state,
                target: &seen.target,
                // A new policy has no rate yet.
                delta: hook.since(from.unwrap_or(hook)),
            });
        }
    }
    // The largest first.
    rows.sort_by_key(|row| std::cmp::Reverse(row.delta.calls));
    rows
}

/// Return the screen after two looks that were so far apart.
fn screen(before: &Snapshot, after: &Snapshot, seconds: f64) -> String {
    let rate = |n: u64| match n as f64 / seconds {
        rate if rate > 0.0 && rate < 10.0 => format!("{rate:.1}"),
        rate => count(rate as u64),
    };
    let mut out = format!("sched-bpf top: rates a second, over {seconds:.1} s");

    // Writing to a string does not fail.
    let _ = writeln!(out, "{}\n", if after.enabled { "" } else { "; policies are OFF" });
    let _ = writeln!(
        out,
        "{:>6} {:<15} {:<8} {:<14} {:<15} {:>6} {:>6} {:>6} {:>6} {:>6}",
        "LINK", "POLICY", "STATE", "TARGET", "HOOK", "CALLS", "NEG", "POS", "REJECT", "DIFF"
    );
    for row in rows(before, after) {
        let _ = writeln!(
            out,
            "{:>6} {:<15} {:<8} {:<14} {:<15} {:>6} {:>6} {:>6} {:>6} {:>6}",
            row.link,
            row.name,
            row.state,
            end_of(row.target, 14),
            end_of(short(&row.delta.hook), 15),
            rate(row.delta.calls),
            rate(row.delta.negative),
            rate(row.delta.positive),
            rate(row.delta.all_rejected()),
            rate(row.delta.differ)
        );
    }
    if after.policies.is_empty() {
        out.push_str("no policy is attached\n");
    }
    out
}

/// Show the rates until interrupted, or so many times.
pub fn top(args: &TopArgs, out: Output) -> Result<()> {
    ensure!(!out.json, "top has no --json; 'sched-bpf list --json' has the counters");
    ensure!(
        stdout().is_terminal() || args.count.is_some(),
        "standard output is not a terminal; give --count N, or use 'sched-bpf list'"
    );
    let mut before = (Snapshot::take()?, Instant::now());

    for _ in 0..args.count.unwrap_or(u64::MAX) {
        thread::sleep(args.interval);
        let after = (Snapshot::take()?, Instant::now());
        let seconds = (after.1 - before.1).as_secs_f64();
        let mut text = screen(&before.0, &after.0, seconds);
        if stdout().is_terminal() {
            text = format!("\x1b[H\x1b[J{text}\n^C ends\n");
        }
        output::write(&text)?;
        before = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::tests::seen;

    fn snapshot(calls: [u64; 2]) -> Snapshot {
        Snapshot {
            enabled: true,
            policies: vec![
                seen(7, "pass", "/sys/fs/cgroup", calls[0]),
                seen(9, "protect_cgroup", "/sys/fs/cgroup/workload.slice/web", calls[1]),
            ],
        }
    }

    #[test]
    fn screens() {
        let (before, after) = (snapshot([10, 20]), snapshot([30, 400_020]));

        insta::assert_snapshot!(screen(&before, &after, 2.0));

        let off = Snapshot { enabled: false, policies: Vec::new() };
        insta::assert_snapshot!("off", screen(&off, &off, 1.0));
    }
}
