// SPDX-License-Identifier: GPL-2.0

//! A request/response service beside CPU hogs, and chains of threads: what a scheduling policy
//! does.

mod cgroup;
mod chains;
mod child;
mod cli;
mod cpu;
mod demo;
mod hogs;
mod measure;
mod policy;
mod report;
mod serve;
mod slice;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{Action, Cli};

fn act(cli: Cli) -> Result<()> {
    match cli.action {
        Action::Serve(args) => serve::serve(&args),
        Action::Hogs(args) => hogs::hogs(&args),
        Action::Chains(args) => chains::chains(&args),
        Action::Demo(args) => demo::demo(&args),
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
