// SPDX-License-Identifier: GPL-2.0

//! Metrics in the text format of OpenMetrics, for a node_exporter's text file collector or
//! for who connects to the socket of the service.

use std::fmt::Write;

use crate::snapshot::{Seen, Snapshot};

/// A family: name without suffix, type, unit if it is part of the name, and what it says.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

const ENABLED: Family = Family {
    name: "sched_bpf_enabled",
    kind: "gauge",
    help: "1 if policies are asked, 0 if all are switched off",
};
const INFO: Family = Family {
    name: "sched_bpf_policy",
    kind: "info",
    help: "An attached policy: whom it is for, and whether it is in the shadow",
};
const ATTACHED: Family = Family {
    name: "sched_bpf_service_attached",
    kind: "gauge",
    help: "1 if a policy of the service's configuration is attached, 0 if it was detached",
};
const RETRIES: Family = Family {
    name: "sched_bpf_service_retries",
    kind: "counter",
    help: "How often the service tried to attach again what the kernel had detached",
};
const GIVEN_UP: Family = Family {
    name: "sched_bpf_service_given_up",
    kind: "gauge",
    help: "1 if it is not tried again before the service is reloaded",
};

/// A policy of the service's configuration.
pub struct Configured {
    /// Its name there, and its cgroup
    pub name: String,
    /// Is it attached?
    pub attached: bool,
    /// How often it was tried again
    pub retries: u64,
    /// Is it not tried any more?
    pub given_up: bool,
}

fn head(out: &mut String, family: &Family) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "# TYPE {} {}", family.name, family.kind);
    if family.name.ends_with("_seconds") {
        let _ = writeln!(out, "# UNIT {} seconds", family.name);
    }
    let _ = writeln!(out, "# HELP {} {}", family.name, family.help);
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// What identifies the samples of a policy: the id, as names need not be unique.
fn labels(seen: &Seen, hook: &str) -> String {
    format!(
        "id=\"{}\",policy=\"{}\",hook=\"{}\"",
        seen.policy.id,
        escaped(&seen.policy.name),
        escaped(hook)
    )
}

/// All that is attached, and which entries of a configuration are.
pub fn text(snapshot: &Snapshot, service: &[Configured]) -> String {
    let mut out = String::new();

    head(&mut out, &ENABLED);
    let _ = writeln!(out, "sched_bpf_enabled {}", u8::from(snapshot.enabled));

    head(&mut out, &INFO);
    for seen in &snapshot.policies {
        let _ = writeln!(
            out,
            "sched_bpf_policy_info{{id=\"{}\",policy=\"{}\",provider=\"{}\",\
             target=\"{}\",shadow=\"{}\"}} 1",
            seen.policy.id,
            escaped(&seen.policy.name),
            escaped(&seen.policy.provider),
            escaped(&seen.target),
            seen.shadow
        );
    }

    let answers = Family {
        name: "sched_bpf_answers",
        kind: "counter",
        help: "Answers by sign: calls are their sum",
    };
    head(&mut out, &answers);
    for (seen, hook) in hooks(snapshot) {
        for (sign, count) in [
            ("negative", hook.negative),
            ("zero", hook.zero),
            ("positive", hook.positive),
        ] {
            let labels = labels(seen, &hook.hook);
            let _ = writeln!(
                out,
                "sched_bpf_answers_total{{{labels},sign=\"{sign}\"}} {count}"
            );
        }
    }

    let overruled = Family {
        name: "sched_bpf_overruled",
        kind: "counter",
        help: "Answers that a bound of the kernel set aside, by bound",
    };
    head(&mut out, &overruled);
    for (seen, hook) in hooks(snapshot) {
        for (bound, count) in &hook.overruled_by {
            let labels = labels(seen, &hook.hook);
            let _ = writeln!(
                out,
                "sched_bpf_overruled_total{{{labels},bound=\"{}\"}} {count}",
                escaped(bound)
            );
        }
    }

    let differ = Family {
        name: "sched_bpf_differ",
        kind: "counter",
        help: "Answers of a shadow policy that would have changed what happened",
    };
    head(&mut out, &differ);
    for (seen, hook) in hooks(snapshot) {
        let labels = labels(seen, &hook.hook);
        let _ = writeln!(out, "sched_bpf_differ_total{{{labels}}} {}", hook.differ);
    }

    let time = Family {
        name: "sched_bpf_time_seconds",
        kind: "counter",
        help: "Time of all calls while kernel.bpf_stats_enabled is 1",
    };
    head(&mut out, &time);
    for (seen, hook) in hooks(snapshot) {
        let labels = labels(seen, &hook.hook);
        let _ = writeln!(
            out,
            "sched_bpf_time_seconds_total{{{labels}}} {}",
            hook.time_ns as f64 / 1e9
        );
    }

    type Value = fn(&Configured) -> u64;
    let families: [(&Family, &str, Value); 3] = [
        (&ATTACHED, "", |policy| policy.attached.into()),
        (&RETRIES, "_total", |policy| policy.retries),
        (&GIVEN_UP, "", |policy| policy.given_up.into()),
    ];
    for (family, suffix, value) in families {
        if service.is_empty() {
            break;
        }
        head(&mut out, family);
        for policy in service {
            let _ = writeln!(
                out,
                "{}{suffix}{{name=\"{}\"}} {}",
                family.name,
                escaped(&policy.name),
                value(policy)
            );
        }
    }
    out.push_str("# EOF\n");
    out
}

fn hooks(snapshot: &Snapshot) -> impl Iterator<Item = (&Seen, &sched_bpf_counters::HookCounters)> {
    snapshot
        .policies
        .iter()
        .flat_map(|seen| seen.hooks.iter().map(move |hook| (seen, hook)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::snapshot;

    #[test]
    fn families_and_samples() {
        let web = Configured {
            name: "web".to_string(),
            attached: false,
            retries: 3,
            given_up: true,
        };
        let text = text(&snapshot(), &[web]);

        for line in [
            "sched_bpf_enabled 1",
            "sched_bpf_answers_total{id=\"7\",policy=\"protect_all\",\
             hook=\"cfs_check_preempt_tick\",sign=\"negative\"} 4",
            "# UNIT sched_bpf_time_seconds seconds",
            "sched_bpf_service_attached{name=\"web\"} 0",
            "sched_bpf_service_retries_total{name=\"web\"} 3",
            "sched_bpf_service_given_up{name=\"web\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));

        // Each sample is of the family whose head comes before it.
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} is not of {family}");
            }
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\n"), "a\\\"b\\\\c\\n");
    }
}
