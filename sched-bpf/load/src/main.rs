// SPDX-License-Identifier: GPL-2.0

//! A load that shows what scheduling policies do, and comparisons by it.

mod apart;
mod cgroup;
mod child;
mod cli;
mod compare;
mod cpu;
mod interrupt;
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
