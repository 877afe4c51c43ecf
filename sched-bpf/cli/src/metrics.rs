// SPDX-License-Identifier: GPL-2.0

//! Metrics in the text format of Prometheus, for the textfile collector of node_exporter.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sched_bpf_core::snapshot::{Seen, Snapshot};
use sched_bpf_core::state;
use serde::{Deserialize, Serialize};

use crate::args::MetricsArgs;
use crate::output::{self, Output};

/// A policy of the service's configuration, in its state file.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Configured {
    pub name: String,
    pub target: String,
    /// Id of its link, if it has one
    pub link: Option<u32>,
    /// False if it is detached or disabled
    pub in_force: bool,
    pub retries: u64,
    /// True if it is not tried before a reload
    pub given_up: bool,
}

/// Write a file all at once, so that a reader sees the old one or the new one.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut part = path.as_os_str().to_os_string();
        part.push(".part");
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(&part, text)?;
        fs::rename(&part, path)
    };

    write().with_context(|| path.display().to_string())
}

/// Metrics in the making.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Begin a family.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let _ = match &labels[..] {
            [] => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")),
        };
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A tunable: name, help, value.
type Tunable<'a> = (&'a str, &'a str, f64);

fn text(snapshot: &Snapshot, service: &[Configured], tunables: &[Tunable]) -> String {
    let mut out = Text::default();

    out.family("sched_bpf_enabled", "gauge", "1 if policies are on, 0 if they are off.");
    out.sample("sched_bpf_enabled", &[], u8::from(snapshot.enabled));
    for (name, help, value) in tunables {
        out.family(name, "gauge", help);
        out.sample(name, &[], value);
    }

    // The name in the configuration survives restarts, the link tells attachments apart.
    let named: Vec<(&Seen, String, &str)> = snapshot
        .policies
        .iter()
        .map(|seen| {
            let link = seen.policy.link;
            let own = |configured: &&Configured| link != 0 && configured.link == Some(link);
            let name = service.iter().find(own).map_or("", |own| &own.name);
            (seen, link.to_string(), name)
        })
        .collect();
    let labels = |of: &(&'_ Seen, String, &'_ str)| -> [(&'static str, String); 4] {
        [
            ("name", of.2.to_string()),
            ("policy", of.0.policy.name.clone()),
            ("link", of.1.clone()),
            ("target", of.0.target.clone()),
        ]
    };

    out.family("sched_bpf_policy_state", "gauge", "1 for the state that an attached policy is in.");
    for of in &named {
        for state in ["enabled", "shadow", "disabled"] {
            let own = labels(of);
            let mut all: Vec<_> = own.iter().map(|(name, value)| (*name, &**value)).collect();
            all.push(("state", state));
            let value = u8::from(of.0.policy.state == state);
            out.sample("sched_bpf_policy_state", &all, value);
        }
    }

    type Samples = fn(&state::Hook) -> Vec<(&'static str, String, u64)>;
    let counters: [(&str, &str, Samples); 3] = [
        ("sched_bpf_results_total", "Results of hook calls, by sign.", |hook| {
            let signs =
                [("negative", hook.negative), ("zero", hook.zero()), ("positive", hook.positive)];
            signs.map(|(sign, n)| ("sign", sign.to_string(), n)).into()
        }),
        ("sched_bpf_rejected_total", "Results that the kernel did not apply, by reason.", |hook| {
            let rejected = hook.rejected.iter();
            rejected.map(|(r, n)| ("reason", r.clone(), *n)).collect()
        }),
        (
            "sched_bpf_differ_total",
            "Results in shadow mode that would have changed the default.",
            |hook| vec![("", String::new(), hook.differ)],
        ),
    ];
    for (family, help, samples) in counters {
        out.family(family, "counter", help);
        for of in &named {
            for hook in &of.0.policy.hooks {
                for (label, value, count) in samples(hook) {
                    let own = labels(of);
                    let mut all: Vec<_> = own.iter().map(|(name, v)| (*name, &**v)).collect();
                    all.push(("hook", &hook.hook));
                    if !label.is_empty() {
                        all.push((label, &value));
                    }
                    out.sample(family, &all, count);
                }
            }
        }
    }

    type Value = fn(&Configured) -> u64;
    let families: [(&str, &str, &str, Value); 3] = [
        (
            "sched_bpf_service_in_force",
            "gauge",
            "1 if a policy of the configuration is attached and not disabled.",
            |configured| configured.in_force.into(),
        ),
        (
            "sched_bpf_service_retries_total",
            "counter",
            "Successful retries of a policy of the configuration.",
            |configured| configured.retries,
        ),
        (
            "sched_bpf_service_given_up",
            "gauge",
            "1 if a policy is not tried again before a reload.",
            |configured| configured.given_up.into(),
        ),
    ];
    for (family, kind, help, value) in families {
        if service.is_empty() {
            break;
        }
        out.family(family, kind, help);
        for configured in service {
            let labels = [("name", &*configured.name), ("target", &*configured.target)];
            out.sample(family, &labels, value(configured));
        }
    }
    out.0
}

/// Print or write them.
pub fn metrics(args: &MetricsArgs, out: Output) -> Result<()> {
    let snapshot = Snapshot::take()?;
    // Without a service there is no file.
    let service: Vec<Configured> = fs::read_to_string(&args.state)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let tunables = [
        (
            "sched_bpf_max_slice_seconds",
            "The longest slice that a policy may set.",
            state::knob("max_slice_ns")? as f64 / 1e9,
        ),
        (
            "sched_bpf_max_share_ratio",
            "The part of a CPU that a policy may take before it is disabled.",
            state::knob("max_share")? as f64 / 100.0,
        ),
    ];
    let text = text(&snapshot, &service, &tunables);

    match &args.output {
        Some(path) => write_file(path, &text),
        None if out.json => out.print(&snapshot, ""),
        None => output::write(&text),
    }
}

#[cfg(test)]
mod tests {
    use openmetrics_parser::prometheus::parse_prometheus;
    use openmetrics_parser::PrometheusType;

    use super::*;
    use crate::list::tests::seen;

    fn all() -> String {
        let snapshot = Snapshot {
            enabled: true,
            policies: vec![
                seen(7, "protect_cgroup", "/sys/fs/cgroup/a \"b\"\\c", 12),
                seen(9, "pass", "/sys/fs/cgroup", 30),
            ],
        };
        let web = Configured {
            name: "web".to_string(),
            target: "web.service".to_string(),
            link: Some(7),
            retries: 3,
            ..Configured::default()
        };
        text(&snapshot, &[web], &[("sched_bpf_x_seconds", "Help.", 0.01)])
    }

    /// A parser of the format takes all of it, with types, and finds the configured name.
    #[test]
    fn a_parser_accepts_it() {
        let exposition = parse_prometheus(&all()).unwrap();
        let family = |name: &str| &exposition.families[name];

        for (name, kind) in [
            ("sched_bpf_enabled", PrometheusType::Gauge),
            ("sched_bpf_policy_state", PrometheusType::Gauge),
            ("sched_bpf_results_total", PrometheusType::Counter),
            ("sched_bpf_rejected_total", PrometheusType::Counter),
            ("sched_bpf_differ_total", PrometheusType::Counter),
            ("sched_bpf_service_retries_total", PrometheusType::Counter),
        ] {
            assert_eq!(family(name).family_type, kind, "{name}");
            assert!(!family(name).help.is_empty());
        }
        let results = family("sched_bpf_results_total");
        let names = results.get_label_names();
        let at = names.iter().position(|name| name == "name").unwrap();
        let values: Vec<_> = results
            .iter_samples()
            .map(|sample| sample.get_labelset().unwrap().iter().nth(at).unwrap().1.to_string())
            .collect();
        assert_eq!(values, ["web", "web", "web", "", "", ""]);
    }

    /// node_exporter drops a file with a type that it does not know.
    #[test]
    fn types_are_those_of_node_exporter() {
        for line in all().lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(rest.ends_with(" gauge") || rest.ends_with("_total counter"));
            }
        }
    }
}
