// SPDX-License-Identifier: GPL-2.0

//! `run` and `attach`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode};

use anyhow::{bail, Context, Result};
use nix::sys::signal::{kill, SigSet, Signal};
use nix::unistd::Pid;
use sched_bpf_core::attach::attach as attach_policies;
use sched_bpf_core::cgroup::Transient;
use sched_bpf_core::pins;
use sched_bpf_core::target::{Cgroup, Target};

use crate::args::{AttachArgs, RunArgs};
use crate::output::{print_error, Output};
use crate::request::{self, require_policies};
use crate::signals::Signals;
use crate::wait::{wait, Event};

/// Exit status of `run` for faults that are not those of the command, as of timeout(1).
pub const ERROR: u8 = 125;

/// Attach the policy, run the command, detach.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let spec = request::spec(args.file.as_deref(), &args.policy, args.target.all)?;
    let target = request::target(&args.target)?;
    let place = request::place(&args.place)?;
    require_policies()?;
    let signals = Signals::block(&[
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ])?;
    // Dropped in the opposite order: the cgroup is empty once the command has ended.
    let mut own = None;
    let target = match target {
        Some(target) => target,
        None => Target::Cgroup(Cgroup::open(&own.insert(Transient::create()?).path)?),
    };
    let mut attached = attach_policies(&spec.load(&target)?, &target.place()?, &place)?;
    let mut task = target.as_task();
    let mut lost = false;

    let mut child = match spawn(&args.command, own.as_ref(), signals.before()) {
        Ok(child) => child,
        Err(e) => {
            let name = args.command[0].to_string_lossy();
            print_error(&format!("command '{name}' cannot be executed: {e}"));
            let found = e.kind() != ErrorKind::NotFound;
            return Ok(ExitCode::from(if found { 126 } else { 127 }));
        }
    };
    let pid = Pid::from_raw(child.id() as i32);
    let status = loop {
        match wait(&signals, task, &attached, None)? {
            Some(Event::Signal(received)) if received.signal == Signal::SIGCHLD => {
                if let Some(status) = child.try_wait().context("command")? {
                    break status.code().or(status.signal().map(|s| 128 + s)).unwrap_or(0) as u8;
                }
            }
            // The command got the signals of a terminal too.
            Some(Event::Signal(received)) if received.by_kernel => {}
            Some(Event::Signal(received)) => drop(kill(pid, received.signal)),
            Some(Event::TaskEnded) => task = None,
            Some(Event::Lost(i, condition)) => {
                print_error(&format!(
                    "policy {} {condition}; the command goes on without it",
                    attached.remove(i).name
                ));
                lost = true;
            }
            None => {}
        }
    };
    drop(attached);
    drop(own);

    Ok(ExitCode::from(match status {
        0 if lost => ERROR,
        status => status,
    }))
}

/// Start a command in its cgroup, with the signal mask that sched-bpf was started with.
fn spawn(command: &[OsString], own: Option<&Transient>, mask: SigSet) -> io::Result<Child> {
    let procs = own.map(|cgroup| cgroup.path.join("cgroup.procs"));
    let procs = procs.map(|path| File::options().write(true).open(path)).transpose()?;
    let mut child = Command::new(&command[0]);

    child.args(&command[1..]);
    // SAFETY: only write() and sigprocmask() are called between fork() and exec().
    unsafe {
        child.pre_exec(move || {
            mask.thread_set_mask()?;
            procs.as_ref().map_or(Ok(()), |mut procs| procs.write_all(b"0"))
        })
    };
    child.spawn()
}

/// Attach the policy until a signal comes, or for good.
pub fn attach(args: &AttachArgs, out: Output) -> Result<ExitCode> {
    let file = args.file.as_deref();
    // "--before LINK" is without a link: LINK is FILE then.
    for (option, value) in [("before", &args.place.before), ("after", &args.place.after)] {
        if let (Some(None), Some(path)) = (value, file.filter(|path| !path.exists())) {
            if path.to_str().and_then(|name| pins::link_id(name).ok()).is_some() {
                bail!("give the link as --{option}={}", path.display());
            }
        }
    }
    let spec = request::spec(file, &args.policy, args.target.all)?;
    let target = request::target(&args.target)?
        .context("no target; give --cgroup, --unit, --pid, --tid or --all")?;
    let place = request::place(&args.place)?;
    require_policies()?;
    if args.pin {
        pins::require_bpffs()?;
    }

    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    let attached = attach_policies(&spec.load(&target)?, &target.place()?, &place)?;
    if args.pin {
        for path in pins::pin(&attached)? {
            out.event("pinned", &path.display().to_string(), "")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    for policy in &attached {
        out.event("attached", &policy.name, &format!("link {}", policy.id))?;
    }
    loop {
        match wait(&signals, target.as_task(), &attached, None)? {
            Some(Event::Signal(_)) => return Ok(ExitCode::SUCCESS),
            Some(Event::TaskEnded) => {
                out.event("detached", &attached[0].name, "its task has ended")?;
                return Ok(ExitCode::SUCCESS);
            }
            Some(Event::Lost(i, condition)) => {
                print_error(&format!("policy {} {condition}", attached[i].name));
                return Ok(ExitCode::from(1));
            }
            None => {}
        }
    }
}
