// SPDX-License-Identifier: GPL-2.0

//! `list`: what is attached, what it answered, what is kept.

use std::fmt::Write;

use anyhow::Result;
use sched_bpf_counters::HookCounters;

use crate::pins;

/// Prints attached policies with their counters, then kept ones.
pub fn list() -> Result<()> {
    print!("{}", policies(&sched_bpf_counters::read()?));

    for path in pins::all()? {
        let what = match pins::open(&path) {
            Ok((_, id)) => format!("link {id}"),
            Err(_) => "not the link of a policy".to_string(),
        };
        println!("kept: {} ({what})", path.display());
    }
    Ok(())
}

fn policies(all: &[HookCounters]) -> String {
    let mut out = String::new();

    if all.is_empty() {
        return "no policy is attached\n".to_string();
    }

    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{:>5} {:<15} {:<26} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "ID", "NAME", "HOOK", "CALLS", "NEGATIVE", "ZERO", "POSITIVE", "OVERRULED"
    );
    for c in all {
        let _ = writeln!(
            out,
            "{:>5} {:<15} {:<26} {:>10} {:>10} {:>10} {:>10} {:>10}",
            c.id, c.name, c.hook, c.calls, c.negative, c.zero, c.positive, c.overruled
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        assert_eq!(policies(&[]), "no policy is attached\n");

        let all = sched_bpf_counters::parse(
            "id name hook calls negative zero positive overruled\n\
             7 protect_all cfs_check_preempt_tick 5 4 1 0 2\n",
        )
        .unwrap();
        let table = policies(&all);
        let fields: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            fields,
            [
                "7",
                "protect_all",
                "cfs_check_preempt_tick",
                "5",
                "4",
                "1",
                "0",
                "2"
            ]
        );
    }
}
