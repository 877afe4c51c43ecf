// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Protect chosen tasks in the fair scheduling class.
///
/// Tasks of the target preempt others when they wake up, are not preempted by
/// others' wakeups, and keep their CPU until they have run for the cap. All else
/// is decided as without the policy, and the kernel bounds every answer.
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
    /// Run a command with the policy attached, by default for the command's process
    Run(RunArgs),
    /// Attach the policy until a signal (SIGINT, SIGTERM) comes, or with --keep for good
    Attach(AttachArgs),
    /// Show attached policies with their counters, and what was kept
    List,
    /// Detach what was attached with --keep
    Detach(DetachArgs),
}

/// Whom to protect; at most one.
#[derive(Args, Debug, Default)]
#[group(multiple = false)]
pub struct TargetArgs {
    /// Protect one thread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,

    /// Protect the threads of one process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub tgid: Option<i32>,

    /// Protect the tasks of a cgroup (v2) and of those below it
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Protect every running task: no wakeup preempts
    #[arg(long)]
    pub all: bool,
}

/// How to protect.
#[derive(Args, Debug)]
pub struct PolicyArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    /// How long a running task of the target keeps its CPU, in milliseconds (1..1000)
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=1000)
    )]
    pub cap: u64,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub policy: PolicyArgs,

    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Arguments of `attach`.
#[derive(Args, Debug)]
pub struct AttachArgs {
    #[command(flatten)]
    pub policy: PolicyArgs,

    /// Pin the policy under /sys/fs/bpf/sched_bpf and exit; it stays attached
    #[arg(long)]
    pub keep: bool,
}

/// Arguments of `detach`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct DetachArgs {
    /// Name under /sys/fs/bpf/sched_bpf as shown by list, or a path
    pub pin: Option<PathBuf>,

    /// Everything under /sys/fs/bpf/sched_bpf
    #[arg(long)]
    pub all: bool,
}

/// Prints an error as one line.
pub fn print_error(message: &str) {
    eprintln!("sched-bpf: error: {message}");
}

/// The first paragraph of a message of clap as one line: the rest is usage.
fn one_line(message: &str) -> String {
    let paragraph = message.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");

    match line.strip_prefix("error: ") {
        Some(line) => line.to_string(),
        None => line,
    }
}

/// Parses the command line. `Err` is the status to exit with.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|e| {
        if !e.use_stderr() {
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        if e.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            print_error("no command given: run, attach, list or detach (see --help)");
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
    fn cap_range() {
        for (cap, valid) in [("0", false), ("1", true), ("1000", true), ("1001", false)] {
            let result = try_parse(&format!("sched-bpf attach --all --cap {cap}"));
            assert_eq!(result.is_ok(), valid, "cap {cap}");
        }
        let error = try_parse("sched-bpf attach --all --cap 2000").unwrap_err();
        assert!(
            error.contains("2000") && error.contains("1..=1000"),
            "{error}"
        );
        assert!(!error.contains('\n') && !error.starts_with("error"));
    }

    #[test]
    fn one_target_at_most() {
        assert!(try_parse("sched-bpf attach --pid 1 --tgid 2").is_err());
        assert!(try_parse("sched-bpf attach --all --cgroup /x").is_err());
        assert!(try_parse("sched-bpf attach --pid 0").is_err());
        assert!(try_parse("sched-bpf attach --pid 1").is_ok());
    }

    #[test]
    fn run_takes_a_command_after_two_dashes() {
        let cli = try_parse("sched-bpf run --cap 5 -- ls -l --all").unwrap();
        let Action::Run(args) = cli.action else {
            panic!("not run");
        };
        assert_eq!(args.command, ["ls", "-l", "--all"]);
        assert_eq!(args.policy.cap, 5);
        assert!(!args.policy.target.all);

        assert!(try_parse("sched-bpf run --all").is_err());
    }

    #[test]
    fn detach_takes_one_thing() {
        assert!(try_parse("sched-bpf detach").is_err());
        assert!(try_parse("sched-bpf detach a --all").is_err());
        assert!(try_parse("sched-bpf detach a").is_ok());
    }
}
