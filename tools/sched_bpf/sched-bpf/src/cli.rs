// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::ab;

/// Attach policies to the fair scheduling class, and see what they do.
///
/// The policy that comes with it protects chosen tasks: they preempt others when they
/// wake up, are not preempted by others' wakeups, and keep their CPU until they have run
/// for the cap. All else is decided as without it. Other policies come from BPF objects.
/// The kernel bounds every answer.
#[derive(Debug, Parser)]
#[command(name = "sched-bpf", version)]
pub struct Cli {
    /// Show what libbpf and the verifier say
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a command with a policy, by default for the command and all that it starts
    ///
    /// Without a target the command gets a cgroup of its own, below that of sched-bpf, to
    /// which the policy is attached. Signals are passed on. The exit status is that of the
    /// command, 128 and the signal that ended it, 127 if it is not found, 126 if it cannot
    /// be executed, 125 if sched-bpf fails or the policy was detached meanwhile.
    Run(RunArgs),
    /// Attach a policy until a signal (SIGINT, SIGTERM) comes, or with --keep for good
    ///
    /// It also ends when the thread or process of --pid or --tgid does, and fails when the
    /// kernel detaches the policy.
    Attach(AttachArgs),
    /// Replace a kept policy without a gap; place and counters stay
    Replace(ReplaceArgs),
    /// Show attached policies with their counters, and what was kept
    List(ListArgs),
    /// Detach what was attached with --keep
    Detach(DetachArgs),
    /// Watch policies on the terminal: rates, overruled answers, time
    Top(TopArgs),
    /// Compare two policies, or a policy and none, on a live host
    ///
    /// The two arms, A and B, take turns in windows, in blocks of one window each in random
    /// order. First both are asked in the shadow, which tells how many answers would change
    /// something. Then A takes turns with itself: if that finds a difference, what is measured
    /// depends on more than the policy, and nothing is said of B. Intervals are of the
    /// bootstrap over blocks, and a second one is valid at whatever time one looks at it.
    /// Between two policies of one table each the link is updated, without a gap.
    ///
    /// Measured are, of the tasks of the cgroup or of all: wakeup_mean_us and wakeup_p99_us,
    /// how long they waited from a wakeup on; wait_ms_per_s, all their waits for a CPU, also
    /// after they were preempted; psi_cpu_pct, the part of the time in which some of them
    /// waited, where the kernel has PSI; and throughput_per_s, by a counter of yours. A wait
    /// counts when it ends. Counting waits takes some 200 instructions a wakeup and 300 a
    /// switch, under both arms alike.
    ///
    /// Exits with 1 if the trial did not come to its end: A differs from itself, a bound was
    /// not kept, a policy was detached, or a signal came. In the end nothing stays attached.
    Ab(AbArgs),
    /// Record the questions of this system, and what a policy answers, to a file
    ///
    /// `replay` lets another policy answer them. Recorded is what a policy is told and may
    /// call, and of each task what policies mostly read; --field adds to that. Where FILE is
    /// given it is attached and answers, after the policies that are there: of a question that
    /// one of them has an opinion on nothing is recorded. With --shadow, and without FILE, all
    /// questions are. The file is for its owner only, as it tells addresses. Takes some
    /// 500 bytes and 2500 instructions for each task of a question, with interrupts off, for
    /// which the kernel detaches it where questions come by ten thousands a second and CPU.
    Record(RecordArgs),
    /// Let a policy answer recorded questions, and compare
    ///
    /// Its programs are interpreted, each question in turn, as they were asked. Maps begin as
    /// they are in the object. It stops where a program wants something that was not recorded.
    /// Questions are those that followed from the recorded answers, not from the new ones. What
    /// changes while a question is asked is as it was when it was recorded: the time, which CPUs
    /// are idle, where a task is moved to, what another CPU writes to a map. Nor is a program
    /// verified: what is replayed may be refused when it is loaded. Takes a kernel that has the
    /// hooks, whose types it looks up; it need not be the one of the recording.
    ///
    /// Exits with 1 also if an answer differs from what was recorded.
    Replay(ReplayArgs),
    /// Print what policies count in the format of OpenMetrics
    ///
    /// All counters begin when a policy is attached and are identified by its id: those of
    /// another attachment are another series. Times are in seconds. The text suits the text
    /// file collector of a node_exporter.
    Metrics,
    /// Check a configuration of `serve`: load all its policies and attach none
    Check(CheckArgs),
    /// Keep the policies of a configuration attached, as a service
    ///
    /// SIGHUP reads the configuration again: what has changed is replaced without a gap. A
    /// policy that the kernel detaches is reported and tried again: after 1 s, 2 s and so on
    /// up to a minute, 8 times in a row, and then not until SIGHUP; one whose cgroup was
    /// removed as soon as there is a cgroup of its name. What another process detaches stays
    /// so. Tells systemd when it is ready (sd_notify).
    Serve(ServeArgs),
    /// Write man pages and completions for bash, zsh and fish
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// Whom a policy is for; at most one.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct TargetArgs {
    /// One thread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,

    /// The threads of one process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub tgid: Option<i32>,

    /// The tasks of a cgroup (v2) and of those below it; its removal detaches
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Every task: with the policy that comes with sched-bpf no wakeup preempts
    #[arg(long)]
    pub all: bool,
}

/// A value for an option of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Name of a global variable
    pub name: String,
    /// What it is set to
    pub value: String,
}

fn setting(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Setting {
            name: name.to_string(),
            value: value.to_string(),
        }),
        _ => Err("NAME=VALUE is expected".to_string()),
    }
}

/// What answers.
#[derive(Args, Clone, Debug, Default)]
pub struct PolicyArgs {
    /// How long a running task of the target keeps its CPU, in milliseconds: 1 to what the
    /// kernel allows (/sys/kernel/bpf_sched/max_slice_ns), 10 by default
    #[arg(long, value_name = "MS")]
    pub cap: Option<u64>,

    /// Set an option of the policy: a global variable that holds a number
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<Setting>,

    /// Ask and count, do not obey: the way to try a policy on a system that matters
    #[arg(long)]
    pub shadow: bool,
}

/// Its place among others.
#[derive(Args, Clone, Debug, Default)]
pub struct PlaceArgs {
    /// Before the others attached there, or before that of a link: number or pin
    #[arg(long, value_name = "LINK", num_args = 0..=1, require_equals = true)]
    #[arg(conflicts_with = "after")]
    pub before: Option<Option<String>>,

    /// After the others attached there, or after that of a link: number or pin
    #[arg(long, value_name = "LINK", num_args = 0..=1, require_equals = true)]
    pub after: Option<Option<String>>,

    /// Before those of deeper cgroups
    #[arg(long)]
    pub preorder: bool,
}

impl PlaceArgs {
    /// Is it said before or after what, but not which?
    pub fn is_without_link(&self) -> bool {
        matches!(
            (&self.before, &self.after),
            (Some(None), _) | (_, Some(None))
        )
    }
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

    /// A BPF object with a policy, in place of the one that comes with sched-bpf
    #[arg(long, value_name = "FILE")]
    pub object: Option<PathBuf>,

    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Arguments of `attach`.
#[derive(Args, Debug)]
pub struct AttachArgs {
    /// A BPF object (.bpf.o) with a policy, in place of the one that comes with sched-bpf: a
    /// struct bpf_sched_ops in SEC(".struct_ops.link"), or programs in SEC("sched/<hook>")
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub target: TargetArgs,

    #[command(flatten)]
    pub policy: PolicyArgs,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// Pin the policy under /sys/fs/bpf/sched_bpf and exit; it stays attached
    #[arg(long, conflicts_with_all = ["pid", "tgid"])]
    pub keep: bool,
}

/// Arguments of `replace`.
#[derive(Args, Debug)]
pub struct ReplaceArgs {
    /// What is kept: its name or the number of its link, as shown by list, or a path
    pub pin: PathBuf,

    /// A BPF object with one policy; by default the one that comes with sched-bpf
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `detach`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct DetachArgs {
    /// What is kept: its name or the number of its link, as shown by list, or a path
    pub pin: Option<PathBuf>,

    /// Everything under /sys/fs/bpf/sched_bpf
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `top`.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// How long between two looks, in seconds
    #[arg(
        long,
        value_name = "S",
        default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub interval: u64,
}

/// Arguments of `ab`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("for").args(["cgroup", "all"]).required(true)))]
pub struct AbArgs {
    /// What is compared with: `none`, `protect` or `protect:MS`, the policy that comes with
    /// sched-bpf and its cap, or a BPF object (.bpf.o)
    #[arg(value_parser = ab::Spec::parse)]
    pub a: ab::Spec,

    /// What is compared, in the same words
    #[arg(value_parser = ab::Spec::parse)]
    pub b: ab::Spec,

    /// Attach to this cgroup (v2), for its tasks and those of cgroups below it
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Attach for every task
    #[arg(long)]
    pub all: bool,

    /// Measure the tasks of this cgroup, by default those that the policies are for
    #[arg(long, value_name = "PATH")]
    pub measure: Option<PathBuf>,

    /// Set an option of A: a global variable that holds a number
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set_a: Vec<Setting>,

    /// Set an option of B
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set_b: Vec<Setting>,

    /// Blocks of A and B
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(2..=100_000)
    )]
    pub blocks: u32,

    /// Blocks of A with itself, which come first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(2..=100_000)
    )]
    pub aa_blocks: u32,

    /// How long a window is, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = ab::seconds)]
    pub window: Duration,

    /// How much of the begin of each window is discarded, in seconds
    #[arg(long, value_name = "S", default_value = "2", value_parser = ab::seconds)]
    pub burn_in: Duration,

    /// How long policies are in the shadow first, in seconds; 0: not at all
    #[arg(long, value_name = "S", default_value = "10", value_parser = ab::seconds)]
    pub shadow: Duration,

    /// Seed of the order and of the bootstrap, by default of the time; the report has it
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// A command of the shell that prints a counter that only grows, such as requests served:
    /// run at the begin and at the end of what is measured of each window
    #[arg(long, value_name = "COMMAND", conflicts_with = "prometheus")]
    pub throughput: Option<String>,

    /// Take the counter from a file in the text format of Prometheus: all samples of METRIC,
    /// or the one that is written there as NAME{...}. Windows should be much longer than the
    /// file is old
    #[arg(long, value_name = "FILE:METRIC", value_parser = ab::prometheus)]
    pub prometheus: Option<ab::Counter>,

    /// End the trial and detach when a metric of a window exceeds this; looked at each second
    #[arg(long, value_name = "METRIC=NUMBER", value_parser = ab::guard)]
    pub at_most: Vec<ab::Guard>,

    /// End the trial and detach when a metric of a window is below this
    #[arg(long, value_name = "METRIC=NUMBER", value_parser = ab::guard)]
    pub at_least: Vec<ab::Guard>,

    /// End the trial as soon as it is known whether this metric is higher or lower under B
    #[arg(long, value_name = "METRIC")]
    pub until: Option<ab::Metric>,

    /// Report as JSON, with each window
    #[arg(long)]
    pub json: bool,

    /// Write the report here too, as HTML with plots, which needs no other file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// A file, or a directory of files NAME.toml
    #[arg(default_value = crate::config::DIR)]
    pub config: PathBuf,
}

/// Arguments of `record`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("whom").required(true).args(["cgroup", "all"]))]
pub struct RecordArgs {
    /// A BPF object (.bpf.o) with a policy, whose answers are recorded
    pub file: Option<PathBuf>,

    /// Where to
    #[arg(short, long, value_name = "RECORDING")]
    pub output: PathBuf,

    /// Questions about the tasks of this cgroup (v2) and of those below it
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Questions about every task
    #[arg(long)]
    pub all: bool,

    /// Set an option of the policy: a global variable that holds a number
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<Setting>,

    /// Ask the policy, do not obey
    #[arg(long)]
    pub shadow: bool,

    /// How long, in seconds; otherwise until a signal (SIGINT, SIGTERM) comes
    #[arg(long, value_name = "S", value_parser = ab::seconds)]
    pub seconds: Option<Duration>,

    /// Record a member of struct task_struct more, like se.avg.util_est
    #[arg(long, value_name = "PATH")]
    pub field: Vec<String>,
}

/// Arguments of `replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// What `record` has made
    pub recording: PathBuf,

    /// A BPF object (.bpf.o) with a policy
    pub file: PathBuf,

    /// Set an option of the policy: a global variable that holds a number
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<Setting>,

    /// How many different answers to show
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub show: u64,
}

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// A file, or a directory of files NAME.toml
    #[arg(long, value_name = "PATH", default_value = crate::config::DIR)]
    pub config: PathBuf,

    /// A Unix socket on which metrics are told to who connects, in the format of OpenMetrics,
    /// over HTTP if asked so
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Arguments of `generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// Where to
    pub dir: PathBuf,
}

/// Prints an error as one line.
pub fn print_error(message: &str) {
    eprintln!("sched-bpf: error: {message}");
}

/// Prints what is worth knowing and no error.
pub fn warn(message: &str) {
    eprintln!("sched-bpf: warning: {message}");
}

/// A message of clap as one line: what is wrong, and its tip. The rest is usage.
fn one_line(message: &str) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = words(message.split("\n\n").next().unwrap_or_default());
    let tip = message
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "))
        .map(|tip| format!("; {}", words(tip)));

    // What the standard library says of a number does not say what is accepted.
    let line = line
        .replace(
            "invalid digit found in string",
            "a whole number is expected",
        )
        .replace("number too large to fit in target type", "it is too large");

    format!(
        "{}{}",
        line.strip_prefix("error: ").unwrap_or(&line),
        tip.unwrap_or_default()
    )
}

/// Parses the command line. `Err` is the status to exit with.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|e| {
        if !e.use_stderr() {
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        if e.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            print_error("no command given, such as run, attach or list (see --help)");
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
        assert!(
            error.contains("--cgruop") && error.contains("'--cgroup'"),
            "{error}"
        );
        assert!(!error.contains('\n') && !error.starts_with("error"));
        assert!(try_parse("sched-bpf lsit").unwrap_err().contains("'list'"));

        let error = try_parse("sched-bpf attach --all --cap x").unwrap_err();
        assert!(error.contains("'x'") && error.contains("--cap"), "{error}");
        assert!(error.ends_with("a whole number is expected"), "{error}");
        let error = try_parse("sched-bpf attach --all --set x").unwrap_err();
        assert!(error.contains("NAME=VALUE is expected"), "{error}");
    }

    #[test]
    fn one_target_at_most() {
        assert!(try_parse("sched-bpf attach --pid 1 --tgid 2").is_err());
        assert!(try_parse("sched-bpf attach --all --cgroup /x").is_err());
        assert!(try_parse("sched-bpf attach --pid 0").is_err());
        assert!(try_parse("sched-bpf attach --pid 1").is_ok());
    }

    #[test]
    fn kept_policies_outlive_processes() {
        assert!(try_parse("sched-bpf attach --pid 1 --keep").is_err());
        assert!(try_parse("sched-bpf attach --all --keep").is_ok());
    }

    #[test]
    fn places() {
        let place = |line: &str| match try_parse(line).unwrap().action {
            Action::Attach(args) => (args.place, args.file),
            _ => panic!("not attach"),
        };
        let (first, file) = place("sched-bpf attach --all --before x.o");
        assert_eq!(first.before, Some(None));
        assert_eq!(file, Some(PathBuf::from("x.o")));
        let (before, _) = place("sched-bpf attach --all --before=7 --preorder");
        assert_eq!(before.before, Some(Some("7".to_string())));
        assert!(before.preorder);
        assert!(try_parse("sched-bpf attach --all --before --after").is_err());
    }

    #[test]
    fn run_takes_a_command_after_two_dashes() {
        let cli = try_parse("sched-bpf run --cap 5 -- ls -l --all").unwrap();
        let Action::Run(args) = cli.action else {
            panic!("not run");
        };
        assert_eq!(args.command, ["ls", "-l", "--all"]);
        assert_eq!(args.policy.cap, Some(5));
        assert!(!args.target.all);

        assert!(try_parse("sched-bpf run --all").is_err());
    }

    #[test]
    fn detach_takes_one_thing() {
        assert!(try_parse("sched-bpf detach").is_err());
        assert!(try_parse("sched-bpf detach a --all").is_err());
        assert!(try_parse("sched-bpf detach a").is_ok());
    }
}
