// SPDX-License-Identifier: GPL-2.0

//! Loads that show what scheduling policies do, and comparisons by them.

mod announce;
mod apart;
mod arrivals;
mod cgroup;
mod child;
mod cli;
mod compare;
mod cpu;
mod functions;
mod hint;
mod interrupt;
mod locks;
mod mix;
mod pieces;
mod policy;
mod requests;
mod results;
mod seen;
mod setattr;
mod setting;
mod slice;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{Action, Cli};

fn act(cli: Cli) -> Result<()> {
    match cli.action {
        Action::Functions(args) => functions::functions(&args),
        Action::Mix(args) => mix::mix(&args),
        Action::Locks(args) => locks::locks(&args),
        Action::Requests(args) => requests::requests(&args),
        Action::Compare(args) => compare::compare(&args),
    }
}

fn main() -> ExitCode {
    match act(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("sched-bpf-load: error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
