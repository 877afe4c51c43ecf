// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A load that shows what scheduling policies do, and comparisons by it.
#[derive(Debug, Parser)]
#[command(name = "sched-bpf-load", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a service next to CPU-bound threads. It prints a line of three numbers for each
    /// request, and for each piece of what computes next to it: its CPU time, how long it waited,
    /// and how long it took, in nanoseconds
    Requests(RequestsArgs),
    /// Compare settings and policies by a load, in random order, several times (needs root)
    Compare(CompareArgs),
}

/// A part of the load, each in a cgroup of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// What is measured
    Measured,
    /// What is next to it
    Beside,
}

/// Arguments of `requests`.
#[derive(Args, Debug)]
pub struct RequestsArgs {
    /// The CPU that is measured
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    pub cpu: usize,

    /// How long to measure, in seconds
    #[arg(long, value_name = "S", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,

    /// Seed of the random numbers: it says when which request comes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Custom slice of the service's threads in microseconds, by sched_setattr(); 0: none
    #[arg(long, value_name = "US", default_value_t = 0)]
    pub slice_us: u64,

    /// Rounds of a loop that take a second, instead of measuring how many do
    #[arg(long, value_name = "N", overrides_with = "rounds_per_s")]
    pub rounds_per_s: Option<u64>,

    /// Make the parts groups for the scheduler: the service with this cpu.weight, the other with
    /// 100
    #[arg(long, value_name = "WEIGHT", overrides_with = "weight")]
    pub weight: Option<u32>,

    /// Attach the policy "protect" to the service, by this loader
    #[arg(long, value_name = "PROGRAM")]
    pub protect_by: Option<PathBuf>,

    /// Load this kernel module: its name and parameters, where {cgroup} stands for the cgroup of
    /// the service
    #[arg(long, value_name = "MODULE")]
    pub module: Option<String>,

    /// Run this part only
    #[arg(long, value_name = "PART", hide = true)]
    pub part: Option<Part>,

    /// Move into this cgroup first
    #[arg(long, value_name = "PATH", hide = true)]
    pub cgroup: Option<PathBuf>,

    /// Work that arrives on average, in percent of half of the CPU, the share of the service
    #[arg(long, value_name = "PERCENT", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=200))]
    pub load: u32,

    /// Workers, each with one request at a time and a helper of its own, and as many threads
    /// that are CPU-bound next to them
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub workers: u32,

    /// How often a worker asks its helper, and waits for it, for a request
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub asks: u32,

    /// CPU time before, between and during these, on average, in microseconds
    #[arg(long, value_name = "US", default_value_t = 25)]
    pub work_us: u64,
}

/// Loads that settings are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// A service next to others at 100 % of its share
    Requests,
    /// The same at 120 %
    Overload,
    /// Short requests at 20 %, with few settings, to show what policies do
    Demo,
}

impl Load {
    /// Its name, on the command line and of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Overload => "overload",
            Self::Demo => "demo",
        }
    }

    /// What it is started by, on the command line.
    pub fn command(self) -> &'static [&'static str] {
        match self {
            Self::Requests => &["requests", "--load", "100"],
            Self::Overload => &["requests", "--load", "120"],
            Self::Demo => {
                &["requests", "--load", "20", "--asks", "0", "--work-us", "50", "--weight", "100"]
            }
        }
    }
}

/// Arguments of `compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// By which load
    pub load: Load,

    /// The CPU that is measured
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    pub cpu: usize,

    /// How long a run is, in seconds
    #[arg(long, value_name = "S", default_value_t = 10)]
    pub seconds: u64,

    /// How often each setting is measured
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,

    /// Leave out settings that differ little from others
    #[arg(long)]
    pub coarse: bool,

    /// Seed of the order and of the loads
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Directory of the policies' objects
    #[arg(long, value_name = "DIR")]
    pub policies: PathBuf,

    /// A scheduler of sched_ext, to compare with too; may be given several times
    #[arg(long, value_name = "PROGRAM")]
    pub scx: Vec<PathBuf>,

    /// A kernel module, to compare with too, as of the loads; may be given several times
    #[arg(long, value_name = "MODULE")]
    pub module: Vec<String>,

    /// The loader, by default sched-bpf next to this program
    #[arg(long, value_name = "PROGRAM")]
    pub loader: Option<PathBuf>,

    /// Where to write LOAD.csv and LOAD.md; it is made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition() {
        Cli::command().debug_assert();
        for load in Load::value_variants() {
            let line = [&["x"], load.command()].concat();
            assert!(Cli::try_parse_from(line).is_ok(), "{load:?}");
            assert_eq!(load.to_possible_value().unwrap().get_name(), load.name());
        }
    }
}
