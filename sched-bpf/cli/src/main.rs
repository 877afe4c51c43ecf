// SPDX-License-Identifier: GPL-2.0

//! Attaches policies to the fair scheduling class, and shows what they do.

mod ab;
mod args;
mod config;
mod generate;
mod list;
mod manage;
mod metric;
mod metrics;
mod output;
mod request;
mod run;
mod serve;
mod signals;
mod top;
mod wait;

use std::process::ExitCode;

use anyhow::Result;
use nix::libc;
use sched_bpf_core::object;

use args::{Action, Cli};
use output::Output;

/// Exit status for errors.
const ERROR: u8 = 2;

fn act(action: &Action, out: Output) -> Result<ExitCode> {
    match action {
        Action::Run(args) => return run::run(args),
        Action::Attach(args) => return run::attach(args, out),
        Action::Detach(args) => manage::detach(args, out)?,
        Action::Replace(args) => manage::replace(args, out)?,
        Action::List => list::list(out)?,
        Action::Policies => manage::policies(out)?,
        Action::Inspect(args) => manage::inspect(args, out)?,
        Action::Off => manage::enable(false, out)?,
        Action::On => manage::enable(true, out)?,
        Action::Status => return manage::status(out),
        Action::Top(args) => top::top(args, out)?,
        Action::Ab(args) => return ab::ab(args, out),
        Action::Check(args) => config::check(&args.config, out)?,
        Action::Serve(args) => serve::serve(args, out)?,
        Action::Metrics(args) => metrics::metrics(args, out)?,
        Action::Generate(args) => generate::generate(args)?,
    }

    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    // SAFETY: the default action, which the runtime has replaced.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let Cli { verbose, json, action } = cli;

    object::set_verbose(verbose);
    act(&action, Output { json }).unwrap_or_else(|e| {
        output::print_error(&format!("{e:#}"));
        ExitCode::from(match action {
            Action::Run(_) => run::ERROR,
            _ => ERROR,
        })
    })
}
