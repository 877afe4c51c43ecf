// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A request/response service beside CPU hogs, to see what a scheduling policy does.
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
    /// Run the service and print what its requests saw, as lines of name and number
    Serve(ServeArgs),
    /// Run the hogs and print the CPU time and the switches they had
    Hogs(HogsArgs),
    /// Run chains of threads that hand requests on, and print how many they served
    Chains(ChainsArgs),
    /// Run functions of widely spread length and print how long each took
    Functions(FunctionsArgs),
    /// Run tasks that are interactive and compute by turns, and print how each turn went
    Mix(MixArgs),
    /// Run threads that contend for a lock beside others, and print how each turn went
    Locks(LocksArgs),
    /// Run a pipeline that makes frames beside a build, and print how long each took
    Frames(FramesArgs),
    /// Run a service at full load beside others, and print how long each request took
    Requests(RequestsArgs),
    /// Run a job of a build
    #[command(hide = true)]
    Job(JobArgs),
    /// Compare settings and policies by a load, in random order, several times (needs root)
    Compare(CompareArgs),
    /// Run both on a stock kernel, as that can be set, and with policies, and compare (needs root)
    Demo(DemoArgs),
}

/// The shape of the service.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// Worker threads, each with a client thread of its own
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub workers: u32,

    /// Work of a request: the time it takes on an idle CPU, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 50,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub work_us: u64,

    /// Rounds of a loop for --work-us instead of measuring how many that takes
    #[arg(long, value_name = "N")]
    pub work_rounds: Option<u64>,

    /// Time between a reply and the next request, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(0..=10_000_000)
    )]
    pub gap_us: u64,

    /// CPU of the client threads
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    pub client_cpu: usize,

    /// Work of a request of another kind, which computes, in milliseconds; 0: there is none
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(0..=10_000)
    )]
    pub compute_ms: u64,

    /// Time between a reply to such a request and the next one, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(1..=60_000)
    )]
    pub compute_every_ms: u64,
}

/// What service and hogs have in common.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// CPU of the workers and of the hogs
    #[arg(long, value_name = "CPU", default_value_t = 1)]
    pub cpu: usize,

    /// How long to measure, in seconds
    #[arg(
        long,
        value_name = "S",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub seconds: u64,
}

/// How the hogs compute.
#[derive(Args, Clone, Debug)]
pub struct BurstArgs {
    /// Work of a hog before it sleeps: the time it takes on an idle CPU, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000)
    )]
    pub burst_us: u64,

    /// How long it sleeps then, in microseconds; 0: never
    #[arg(
        long,
        value_name = "US",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=10_000_000)
    )]
    pub idle_us: u64,
}

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub place: PlaceArgs,

    #[command(flatten)]
    pub service: ServiceArgs,

    /// Slice of the workers in microseconds, by sched_setattr(); 0: none of their own
    #[arg(
        long,
        value_name = "US",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=100_000)
    )]
    pub slice_us: u64,

    /// Move into this cgroup first
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
}

/// Arguments of `hogs`.
#[derive(Args, Debug)]
pub struct HogsArgs {
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Number of threads that only compute
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub count: u32,

    #[command(flatten)]
    pub burst: BurstArgs,

    /// Move into this cgroup first
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
}

/// Arguments of `chains`.
#[derive(Args, Debug)]
pub struct ChainsArgs {
    /// Number of chains
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=16)
    )]
    pub chains: u32,

    /// How many of them are busy at a time; which, changes with each period
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=16)
    )]
    pub busy: u32,

    /// Threads of a chain, through which each request goes
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(2..=16)
    )]
    pub threads: u32,

    /// Work of a thread for a request: the time it takes on an idle CPU, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub work_us: u64,

    /// Length of a period in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=10_000)
    )]
    pub period_ms: u64,

    /// Bind each chain to one of the first so many CPUs, with its neighbours
    #[arg(
        long,
        value_name = "CPUS",
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub pin: Option<u32>,

    /// How long to measure, in seconds
    #[arg(
        long,
        value_name = "S",
        default_value_t = 6,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub seconds: u64,
}

/// How the lengths of functions are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AnnounceBy {
    /// In the map of the policy "announced", which must be attached
    Map,
    /// As the slice of the thread, by sched_setattr()
    Setattr,
}

/// What all loads take that settings are compared by.
#[derive(Args, Clone, Debug)]
pub struct ComparedArgs {
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Seed of the random numbers: it says who does what when
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Slice of the tasks in microseconds, by sched_setattr(); 0: none of their own
    #[arg(
        long,
        value_name = "US",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=100_000)
    )]
    pub slice_us: u64,

    /// Rounds of a loop that take a second, instead of measuring how many do
    #[arg(long, value_name = "N", overrides_with = "rounds_per_s")]
    pub rounds_per_s: Option<u64>,
}

/// A part of a load that has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// What is measured
    Measured,
    /// What is beside it
    Beside,
}

/// What loads take that have two parts, in a cgroup each.
#[derive(Args, Clone, Debug)]
pub struct ApartArgs {
    #[command(flatten)]
    pub compared: ComparedArgs,

    /// Make them groups for the scheduler: what is measured has this cpu.weight, and what is
    /// beside it has 100
    #[arg(
        long,
        value_name = "WEIGHT",
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    pub weight: Option<u32>,

    /// Attach the policy of sched-bpf to what is measured, by this loader
    #[arg(long, value_name = "PROGRAM")]
    pub protect_by: Option<PathBuf>,

    /// Run this part only
    #[arg(long, value_name = "PART", hide = true)]
    pub part: Option<Part>,

    /// Move into this cgroup first
    #[arg(long, value_name = "PATH", hide = true)]
    pub cgroup: Option<PathBuf>,
}

/// Arguments of `functions`.
#[derive(Args, Debug)]
pub struct FunctionsArgs {
    #[command(flatten)]
    pub compared: ComparedArgs,

    /// CPU of the thread that invokes functions when they are due
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    pub client_cpu: usize,

    /// Work that arrives on average, in percent of the CPU
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 80,
        value_parser = clap::value_parser!(u32).range(1..=200)
    )]
    pub load: u32,

    /// Threads that functions run in
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=4096)
    )]
    pub threads: u32,

    /// Announce how long each function will be
    #[arg(long, value_name = "HOW")]
    pub announce: Option<AnnounceBy>,

    /// Error of what is announced: standard deviation of its logarithm, in hundredths
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=500)
    )]
    pub error: u32,
}

/// Arguments of `mix`.
#[derive(Args, Debug)]
pub struct MixArgs {
    #[command(flatten)]
    pub compared: ComparedArgs,

    /// Number of cgroups
    #[arg(
        long,
        value_name = "N",
        default_value_t = 24,
        value_parser = clap::value_parser!(u32).range(1..=256)
    )]
    pub groups: u32,

    /// Tasks in each of them
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=256)
    )]
    pub tasks: u32,

    /// Run the tasks of this one cgroup only, by its number
    #[arg(long, value_name = "N", hide = true)]
    pub part: Option<u32>,

    /// Move into this cgroup first
    #[arg(long, value_name = "PATH", hide = true)]
    pub cgroup: Option<PathBuf>,
}

/// How a thread says that it has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HintBy {
    /// In the map of the policy "holder", which must be attached
    Map,
    /// By rseq slice extensions; takes GLIBC_TUNABLES=glibc.pthread.rseq=0 in the environment
    Rseq,
}

/// Arguments of `locks`.
#[derive(Args, Debug)]
pub struct LocksArgs {
    #[command(flatten)]
    pub apart: ApartArgs,

    /// Threads that contend for the lock
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub threads: u32,

    /// Threads that compute beside them
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(0..=64)
    )]
    pub hogs: u32,

    /// CPU time that a thread takes without the lock, on average, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(0..=1_000_000)
    )]
    pub private_us: u64,

    /// CPU time that it takes with the lock then, on average, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(0..=1_000_000)
    )]
    pub critical_us: u64,

    /// Say when a thread has the lock
    #[arg(long, value_name = "HOW")]
    pub hint: Option<HintBy>,
}

/// Arguments of `frames`.
#[derive(Args, Debug)]
pub struct FramesArgs {
    #[command(flatten)]
    pub apart: ApartArgs,

    /// Threads, through which each frame goes
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=16)
    )]
    pub threads: u32,

    /// CPU time that a frame takes in each thread, on average, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub work_us: u64,

    /// Jobs of the build at a time
    #[arg(
        long,
        value_name = "N",
        default_value_t = 6,
        value_parser = clap::value_parser!(u32).range(0..=64)
    )]
    pub jobs: u32,
}

/// Arguments of `requests`.
#[derive(Args, Debug)]
pub struct RequestsArgs {
    #[command(flatten)]
    pub apart: ApartArgs,

    /// Work that arrives on average, in percent of half of the CPU, the share of the service
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=200)
    )]
    pub load: u32,

    /// Workers, each with one request at a time and a helper of its own
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub workers: u32,

    /// How often a worker asks its helper, and waits for it, for a request
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(0..=64)
    )]
    pub asks: u32,

    /// CPU time before, between and during these, on average, in microseconds
    #[arg(
        long,
        value_name = "US",
        default_value_t = 25,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub work_us: u64,

    /// Threads that compute beside them
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(0..=64)
    )]
    pub hogs: u32,
}

/// Arguments of `job`.
#[derive(Args, Debug)]
pub struct JobArgs {
    /// CPU time, in nanoseconds
    #[arg(long, value_name = "NS")]
    pub length_ns: u64,

    /// Rounds of a loop that take a second
    #[arg(long, value_name = "N")]
    pub rounds_per_s: u64,
}

/// Loads that settings are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Functions of widely spread length
    Functions,
    /// Tasks that are interactive and compute by turns
    Mix,
    /// Threads that contend for a lock beside others
    Locks,
    /// A pipeline that makes frames beside a build
    Frames,
    /// A service beside others at 100 % of what its share suffices for
    Requests,
    /// The same at 120 %
    Overload,
}

impl Load {
    /// Its name, on the command line and of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Functions => "functions",
            Self::Mix => "mix",
            Self::Locks => "locks",
            Self::Frames => "frames",
            Self::Requests => "requests",
            Self::Overload => "overload",
        }
    }

    /// What it is started by, on the command line.
    pub fn command(self) -> &'static [&'static str] {
        match self {
            Self::Functions => &["functions"],
            Self::Mix => &["mix"],
            Self::Locks => &["locks"],
            Self::Frames => &["frames"],
            Self::Requests => &["requests", "--load", "100"],
            Self::Overload => &["requests", "--load", "120"],
        }
    }

    /// Is it made of what is measured and something beside it?
    pub fn has_parts(self) -> bool {
        match self {
            Self::Functions | Self::Mix => false,
            Self::Locks | Self::Frames | Self::Requests | Self::Overload => true,
        }
    }
}

/// Arguments of `compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// By which load
    pub load: Load,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// How often each setting is measured
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(2..=1000)
    )]
    pub repeats: u32,

    /// Leave out settings that differ little from others
    #[arg(long)]
    pub coarse: bool,

    /// Seed of the order, of the loads and of the intervals
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Directory of the policies' objects
    #[arg(long, value_name = "DIR")]
    pub policies: PathBuf,

    /// A scheduler of sched_ext, to compare with too; may be given several times
    #[arg(long, value_name = "PROGRAM")]
    pub scx: Vec<PathBuf>,

    /// The loader, by default sched-bpf beside this program
    #[arg(long, value_name = "PROGRAM")]
    pub loader: Option<PathBuf>,

    /// Where to write LOAD.csv, LOAD.md and LOAD.svg; it is made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    #[command(flatten)]
    pub place: PlaceArgs,

    #[command(flatten)]
    pub service: ServiceArgs,

    /// Number of hogs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    pub hogs: u32,

    #[command(flatten)]
    pub burst: BurstArgs,

    /// cpu.weight of the service (the hogs have 100). No policy may preempt for a task
    /// that has had more than its share, so the share has to suffice for the requests
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    pub weight: u32,

    /// Base slice of the fair class in milliseconds, in all phases alike; 0 leaves it.
    /// It is how long a task that does not preempt may have to wait
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=100)
    )]
    pub base_slice: u64,

    /// How long a worker keeps its CPU under the policy, in milliseconds
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=1000)
    )]
    pub cap: u64,

    /// Show this kernel module too: its name and parameters, where {cgroup} stands for the
    /// cgroup of the service
    #[arg(long, value_name = "MODULE")]
    pub module: Vec<String>,

    /// Write the table here too
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Write a plot of it here, as SVG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,

    /// The loader, by default sched-bpf beside this program
    #[arg(long, value_name = "PROGRAM")]
    pub loader: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn loads() {
        for load in Load::value_variants() {
            let line = [&["x"], load.command()].concat();
            assert!(Cli::try_parse_from(line).is_ok(), "{load:?}");
            assert_eq!(load.to_possible_value().unwrap().get_name(), load.name());
        }
    }

    #[test]
    fn ranges() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();

        assert!(parse("x demo"));
        assert!(parse("x serve --workers 64"));
        assert!(!parse("x serve --workers 0"));
        assert!(!parse("x demo --seconds 0"));
        assert!(!parse("x demo --cap 1001"));
        assert!(!parse("x demo --weight 0"));
        assert!(!parse("x demo --base-slice 101"));
        assert!(!parse("x chains --threads 1"));
        assert!(parse("x functions --announce map --load 80"));
        assert!(!parse("x functions --load 201"));
        assert!(parse("x locks --hint map --weight 100 --critical-us 0"));
        assert!(!parse("x locks --threads 0"));
        assert!(parse("x frames --jobs 0 --protect-by x"));
        assert!(!parse("x frames --part other"));
        assert!(parse("x requests --load 120 --asks 0 --hogs 0"));
        assert!(!parse("x requests --load 0"));
        assert!(!parse("x compare mix --policies a --out b --repeats 1"));
    }
}
