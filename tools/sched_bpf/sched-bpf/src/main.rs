// SPDX-License-Identifier: GPL-2.0

//! Attaches, lists and detaches the policy "protect" for the fair scheduling class.

mod cli;
mod command;
mod kernel;
mod list;
mod pins;
mod policy;
mod run;
mod signals;
mod target;

use std::process::ExitCode;

use anyhow::Result;

use cli::{Action, Cli};

fn act(cli: Cli) -> Result<ExitCode> {
    policy::set_verbose(cli.verbose);

    match cli.action {
        Action::Run(args) => return run::run(&args),
        Action::Attach(args) => run::attach(&args)?,
        Action::List => list::list()?,
        Action::Detach(args) => pins::detach(&args)?,
    }

    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };

    act(cli).unwrap_or_else(|e| {
        cli::print_error(&format!("{e:#}"));
        ExitCode::FAILURE
    })
}
