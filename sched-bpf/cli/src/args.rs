// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sched_bpf_core::object::Setting;

use crate::metric::Metric;
use crate::output::print_error;

/// The directory of the service's configuration.
pub const CONFIG: &str = "/etc/sched_bpf";

/// The state of the service, which names its policies.
pub const STATE: &str = "/run/sched_bpf/state.json";

/// Attach BPF policies to the fair scheduling class, and see what they do.
///
/// FILE is a BPF object (.bpf.o) or the name of a bundled policy ('sched-bpf policies').
/// Exit status: 0; 1 if a difference was found, a guard was hit, or a policy is not in force
/// any more; 2 for an error. 'run' exits with the status of its command.
#[derive(Debug, Parser)]
#[command(name = "sched-bpf", version, max_term_width = 100)]
pub struct Cli {
    /// Show what libbpf and the verifier say
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a command with a policy, by default for the command and all that it starts
    ///
    /// Without a target the command gets a cgroup of its own, below that of sched-bpf, and the
    /// policy is attached to it. Signals are passed on. The exit status is that of the command,
    /// 128 and the signal that ended it, 127 if it is not found, 126 if it cannot be executed,
    /// 125 if sched-bpf fails or the policy was not in force until the end.
    Run(RunArgs),
    /// Attach a policy until a signal (SIGINT, SIGTERM) comes, or with --pin for good
    ///
    /// It also ends when the task of --tid or --pid does, and with status 1 when the policy is
    /// not in force any more.
    Attach(AttachArgs),
    /// Detach a pinned policy
    Detach(DetachArgs),
    /// Replace a pinned policy without a gap; its place is kept
    Replace(ReplaceArgs),
    /// List attached policies with their counters, and pins
    List,
    /// List the bundled policies with their options
    Policies,
    /// Show the policies of a file: hooks and options
    Inspect(InspectArgs),
    /// Turn all policies off (they stay attached)
    Off,
    /// Turn policies on again
    On,
    /// Show whether policies are on, and the limits; status 1 if they are off or one is disabled
    Status,
    /// Watch the rates of policies
    Top(TopArgs),
    /// Compare two policies, or a policy and none, on a live host
    ///
    /// The arms A and B alternate in windows, in blocks of one window each in random order.
    /// First A alternates with itself (with the placebo 'pass' if A is none): a difference there
    /// is an effect of the measurement, so nothing is said of B. Intervals are Student's t over
    /// blocks. A trial that ends before its time says nothing of B either.
    /// --metric is the primary metric; the intervals of the others are corrected for their
    /// number.
    ///
    /// Metrics, of the tasks of the cgroup or of all: wakeup_mean_us and wakeup_p99_us, waits
    /// for a CPU after a wakeup; wait_ms_per_s, all waits for a CPU; throughput_per_s, by your
    /// counter.
    ///
    /// Status 0: no difference in the primary metric; 1: a difference, or a guard was hit; 2: the
    /// trial failed. In the end nothing stays attached.
    Ab(AbArgs),
    /// Check a configuration of 'serve': load all its policies and attach none
    Check(CheckArgs),
    /// Keep the policies of a configuration attached, as a service
    ///
    /// A policy is attached as soon as its cgroup or unit exists. SIGHUP reloads: changed
    /// policies are replaced without a gap. A policy that was disabled is tried again: after
    /// 1 s, 2 s and so on up to a minute, 8 times in a row. One that another process detached
    /// stays so until a reload. Tells systemd when it is ready.
    Serve(ServeArgs),
    /// Print counters in the text format of Prometheus
    ///
    /// For the textfile collector of node_exporter. The label 'name' is that of the service's
    /// configuration.
    Metrics(MetricsArgs),
    /// Write man pages and completions for bash, zsh and fish
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// The target of a policy; at most one.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct TargetArgs {
    /// One thread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub tid: Option<i32>,

    /// All threads of one process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,

    /// The tasks of a cgroup (v2) and of those below it; its removal detaches
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// The tasks of a systemd unit, such as web.service
    #[arg(long, value_name = "NAME")]
    pub unit: Option<String>,

    /// All tasks; needs a FILE
    #[arg(long)]
    pub all: bool,
}

fn setting(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(Setting { name: name.to_string(), value: value.to_string() })
        }
        _ => Err("give NAME=VALUE".to_string()),
    }
}

/// Parse a time with its unit.
pub fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time <= Duration::from_secs(86_400) => Ok(time),
        Ok(_) => Err("longer than a day".to_string()),
        Err(_) => Err("give a time with its unit, such as 500us, 20ms or 10s".to_string()),
    }
}

/// How a policy is loaded.
#[derive(Args, Clone, Debug, Default)]
pub struct PolicyArgs {
    /// How long a running task of the target keeps its CPU, such as 20ms: up to what the kernel
    /// allows (/sys/module/bpf_sched/parameters/max_slice_ns), 10ms by default; of "protect" only
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub cap: Option<Duration>,

    /// Set an option: a global variable that holds a number; NAME_ns takes times (500us)
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<Setting>,

    /// Call and count it, apply nothing: to try a policy on a system that matters
    #[arg(long)]
    pub shadow: bool,
}

/// The place among other policies.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArgs {
    /// Before the others of the cgroup, or before that of a link: id or pin
    #[arg(long, value_name = "LINK", num_args = 0..=1, require_equals = true)]
    #[arg(conflicts_with = "after")]
    pub before: Option<Option<String>>,

    /// After the others of the cgroup, or after that of a link: id or pin
    #[arg(long, value_name = "LINK", num_args = 0..=1, require_equals = true)]
    pub after: Option<Option<String>>,

    /// Before those of deeper cgroups
    #[arg(long)]
    pub preorder: bool,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    #[command(flatten)]
    pub policy: PolicyArgs,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// The policy, "protect" by default
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Arguments of `attach`.
#[derive(Args, Debug)]
pub struct AttachArgs {
    /// The policy, "protect" by default: a BPF object with a struct bpf_sched_ops in
    /// SEC(".struct_ops.link") or programs in SEC("sched/<hook>"), or a bundled policy
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub target: TargetArgs,

    #[command(flatten)]
    pub policy: PolicyArgs,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// Pin the link under /sys/fs/bpf/sched_bpf and exit; the policy stays attached
    #[arg(long, conflicts_with_all = ["tid", "pid"])]
    pub pin: bool,
}

/// Arguments of `detach`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct DetachArgs {
    /// A pin: its name or the id of its link, as list shows them, or a path
    pub pin: Option<PathBuf>,

    /// All pins under /sys/fs/bpf/sched_bpf
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `replace`.
#[derive(Args, Debug)]
pub struct ReplaceArgs {
    /// A pin: its name or the id of its link, as list shows them, or a path
    pub pin: PathBuf,

    /// The new policy
    pub file: PathBuf,

    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// A BPF object, or a bundled policy
    pub file: PathBuf,
}

/// Arguments of `top`.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub interval: Duration,

    /// End after so many looks
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
}

/// A limit of a metric that ends a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The metric
    pub metric: Metric,
    /// The limit
    pub bound: f64,
}

fn guard(text: &str) -> Result<Guard, String> {
    let (metric, bound) = text.split_once('=').ok_or("give METRIC=NUMBER")?;
    let metric = metric.parse()?;

    match bound.parse::<f64>() {
        Ok(bound) if bound.is_finite() => Ok(Guard { metric, bound }),
        _ => Err(format!("'{bound}' is not a number")),
    }
}

/// Arguments of `ab`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("for").args(["cgroup", "unit", "all"]).required(true)))]
pub struct AbArgs {
    /// The base: none, a bundled policy, protect:TIME with its --cap, or a BPF object
    pub a: String,

    /// What is compared with it
    pub b: String,

    /// Attach to this cgroup (v2)
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Attach to the cgroup of this systemd unit
    #[arg(long, value_name = "NAME", conflicts_with = "cgroup")]
    pub unit: Option<String>,

    /// Attach for all tasks
    #[arg(long)]
    pub all: bool,

    /// Measure the tasks of this cgroup, by default those of the target
    #[arg(long, value_name = "PATH")]
    pub measure: Option<PathBuf>,

    /// Set an option of A
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set_a: Vec<Setting>,

    /// Set an option of B
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set_b: Vec<Setting>,

    /// The primary metric: the one that the trial is about
    #[arg(long, value_name = "METRIC", default_value = "wakeup_mean_us")]
    pub metric: Metric,

    /// Blocks of A and B
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(3..=100_000))]
    pub blocks: u32,

    /// Blocks of A with itself, which come first
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub aa_blocks: u32,

    /// Length of a window
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub window: Duration,

    /// Part of each window that is discarded first
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub burn_in: Duration,

    /// Seed of the order, by default of the time; the report has it
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// A command of the shell that prints a counter that only grows, such as requests served:
    /// executed before and after each window, for 5 s at most
    #[arg(long, value_name = "COMMAND")]
    pub throughput: Option<String>,

    /// End the trial when a metric of a window exceeds this; checked each second
    #[arg(long, value_name = "METRIC=NUMBER", value_parser = guard)]
    pub at_most: Vec<Guard>,

    /// End the trial when a metric of a window is below this
    #[arg(long, value_name = "METRIC=NUMBER", value_parser = guard)]
    pub at_least: Vec<Guard>,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// A file, or a directory of files NAME.toml
    #[arg(default_value = CONFIG)]
    pub config: PathBuf,
}

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// A file, or a directory of files NAME.toml
    #[arg(long, value_name = "PATH", default_value = CONFIG)]
    pub config: PathBuf,

    /// Keep the names of attached policies in this file, for 'metrics'
    #[arg(long, value_name = "FILE", default_value = STATE)]
    pub state: PathBuf,
}

/// Arguments of `metrics`.
#[derive(Args, Debug)]
pub struct MetricsArgs {
    /// Write to this file, all at once, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The state of the service
    #[arg(long, value_name = "FILE", default_value = STATE)]
    pub state: PathBuf,
}

/// Arguments of `generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// The directory
    pub dir: PathBuf,
}

/// Return a message of clap as one line: the fault and the tip.
fn one_line(message: &str) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = words(message.split("\n\n").next().unwrap_or_default());
    let tip = message
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "))
        .map(|tip| format!("; {}", words(tip)));

    // The standard library does not say what it accepts.
    let line = line.replace("invalid digit found in string", "give a whole number");

    format!("{}{}", line.strip_prefix("error: ").unwrap_or(&line), tip.unwrap_or_default())
}

/// Parse the command line. `Err` is the status to exit with.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|e| {
        if !e.use_stderr() {
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        if e.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            print_error("give a command, such as run, attach or list (see --help)");
        } else {
            print_error(&format!("{} (see --help)", one_line(&e.to_string())));
        }
        ExitCode::from(2)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn try_parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split(' ')).map_err(|e| one_line(&e.to_string()))
    }

    #[test]
    fn definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_are_one_line_with_the_tip() {
        let error = try_parse("sched-bpf attach --cgruop /x").unwrap_err();
        assert!(error.contains("'--cgroup'") && !error.contains('\n'));
        let error = try_parse("sched-bpf attach --all --cap 5").unwrap_err();
        assert!(error.contains("such as 500us"), "{error}");
        let error = try_parse("sched-bpf attach --all --set x").unwrap_err();
        assert!(error.contains("give NAME=VALUE"), "{error}");
    }

    #[test]
    fn one_target() {
        assert!(try_parse("sched-bpf attach --pid 1 --tid 2").is_err());
        assert!(try_parse("sched-bpf attach --unit a --cgroup /x").is_err());
        assert!(try_parse("sched-bpf attach --pid 1 --pin").is_err());
        assert!(try_parse("sched-bpf ab none protect").is_err());
        assert!(try_parse("sched-bpf ab none protect --unit a.service").is_ok());
    }

    #[test]
    fn units_and_json() {
        let cli = try_parse("sched-bpf run --cap 500us --json -- ls -l --all").unwrap();
        let Action::Run(args) = cli.action else {
            panic!("not run");
        };
        assert_eq!(args.command, ["ls", "-l", "--all"]);
        assert_eq!(args.policy.cap, Some(Duration::from_micros(500)));
        assert!(cli.json && !args.target.all);
    }

    #[test]
    fn guards() {
        let all = guard("wakeup_p99_us=500").unwrap();
        assert_eq!((all.metric, all.bound), (Metric::WakeupP99Us, 500.0));
        assert!(guard("p99=1").unwrap_err().contains("wakeup_mean_us"));
    }
}
