// SPDX-License-Identifier: GPL-2.0

//! `run` and `attach`: the policy, for as long as something lasts.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::cli::{AttachArgs, RunArgs};
use crate::command;
use crate::pins;
use crate::policy;
use crate::signals::Signals;
use crate::target::Target;

/// Attaches the policy, runs the command, detaches.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let target = Target::from_args(&args.policy.target)?;
    let signals = Signals::block(&[
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
    ])?;
    let command = command::prepare(&args.command, &signals)?;
    let target = match target {
        Some(target) => target,
        None => Target::tgid(command.pid.as_raw())?,
    };

    let policy = policy::attach(target, args.policy.cap)?;
    let status = command.start()?.wait(&signals)?;
    drop(policy);

    Ok(ExitCode::from(status))
}

/// Attaches the policy until a signal comes, or for good.
pub fn attach(args: &AttachArgs) -> Result<()> {
    let target = Target::from_args(&args.policy.target)?
        .context("no target given: --pid, --tgid, --cgroup or --all is needed")?;

    if args.keep {
        pins::require_bpffs()?;
        let policy = policy::attach(target, args.policy.cap)?;
        let path = pins::keep(policy)?;
        return say(&format!("attached and kept: {}", path.display()));
    }

    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    let policy = policy::attach(target, args.policy.cap)?;
    say(&format!(
        "attached: {}, link {}",
        policy.name, policy.link_id
    ))?;
    signals.wait()?;

    Ok(())
}

/// Prints a line at once, for a reader that waits for it.
fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout();

    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("standard output")
}
