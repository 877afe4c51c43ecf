// SPDX-License-Identifier: GPL-2.0

//! Attaches policies to the fair scheduling class, and shows what they do.

mod ab;
mod attach;
mod cgroup;
mod cli;
mod command;
mod config;
mod fields;
mod generate;
mod kernel;
mod link;
mod list;
mod metrics;
mod object;
mod pins;
mod record;
mod recording;
mod refusal;
mod replay;
mod retry;
mod run;
mod serve;
mod signals;
mod sigpipe;
mod snapshot;
mod table;
mod target;
mod top;
mod waits;

use std::process::ExitCode;

use anyhow::{Context, Result};

use cli::{Action, Cli};
use snapshot::Snapshot;

/// Prints a text.
fn print(text: &str) -> Result<()> {
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()).context("standard output")
}

fn act(action: &Action) -> Result<ExitCode> {
    match action {
        Action::Run(args) => return run::run(args),
        Action::Attach(args) => run::attach(args)?,
        Action::Replace(args) => pins::replace(args)?,
        Action::List(args) => list::list(args)?,
        Action::Detach(args) => pins::detach(args)?,
        Action::Top(args) => top::top(args)?,
        Action::Ab(args) => ab::ab(args)?,
        Action::Record(args) => record::record(args)?,
        Action::Replay(args) => return replay::replay(args),
        Action::Metrics => print(&metrics::text(&Snapshot::take()?, &[]))?,
        Action::Check(args) => {
            let count = config::check(&args.config)?;
            run::say(&format!(
                "{}: {count} policies, all load",
                args.config.display()
            ))?;
        }
        Action::Serve(args) => serve::serve(args)?,
        Action::Generate(args) => generate::generate(args)?,
    }

    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    sigpipe::restore();
    let Cli { verbose, action } = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };

    object::set_verbose(verbose);
    act(&action).unwrap_or_else(|e| {
        cli::print_error(&format!("{e:#}"));
        match action {
            Action::Run(_) => ExitCode::from(run::FAILED),
            _ => ExitCode::FAILURE,
        }
    })
}
