// SPDX-License-Identifier: GPL-2.0

//! A request/response service beside CPU hogs, chains of threads, functions of widely spread
//! length: what a scheduling policy does.

mod announce;
mod apart;
mod arrivals;
mod cgroup;
mod chains;
mod child;
mod cli;
mod compare;
mod cpu;
mod demo;
mod frames;
mod functions;
mod goals;
mod hint;
mod hogs;
mod jobs;
mod locks;
mod measure;
mod mix;
mod pieces;
mod policy;
mod report;
mod requests;
mod results;
mod seen;
mod serve;
mod setattr;
mod setting;
mod slice;
mod stages;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use cli::{Action, Cli};

fn act(cli: Cli) -> Result<()> {
    match cli.action {
        Action::Serve(args) => serve::serve(&args),
        Action::Hogs(args) => hogs::hogs(&args),
        Action::Chains(args) => chains::chains(&args),
        Action::Functions(args) => functions::functions(&args),
        Action::Mix(args) => mix::mix(&args),
        Action::Locks(args) => locks::locks(&args),
        Action::Frames(args) => frames::frames(&args),
        Action::Requests(args) => requests::requests(&args),
        Action::Job(args) => {
            jobs::job(&args);
            Ok(())
        }
        Action::Compare(args) => compare::compare(&args),
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
