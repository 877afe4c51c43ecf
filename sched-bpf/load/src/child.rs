// SPDX-License-Identifier: GPL-2.0

//! A child process that does not outlive its owner.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child as Process, ChildStdout, Command, Stdio};

use anyhow::{bail, ensure, Context, Result};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::interrupt;

/// A child process with its output; ended when dropped.
pub struct Child {
    what: String,
    process: Process,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts it.
    pub fn spawn(what: &str, command: &mut Command) -> Result<Self> {
        Self::start(what, command.stdin(Stdio::null()))
    }

    /// Starts one that reads what it is told.
    pub fn spawn_told(what: &str, command: &mut Command) -> Result<Self> {
        Self::start(what, command.stdin(Stdio::piped()))
    }

    fn start(what: &str, command: &mut Command) -> Result<Self> {
        interrupt::check()?;
        let mut process = command.stdout(Stdio::piped()).spawn().with_context(|| {
            let program = command.get_program().to_string_lossy().into_owned();
            format!("{what}: {program} cannot be executed")
        })?;
        interrupt::add(process.id());
        let output = process.stdout.take().context("a pipe was asked for")?;

        Ok(Self { what: what.to_string(), process, output: BufReader::new(output) })
    }

    /// Reads a line of its output.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();

        self.output.read_line(&mut line).with_context(|| self.what.clone())?;
        if line.is_empty() {
            interrupt::remove(self.process.id());
            let status = self.process.wait().with_context(|| self.what.clone())?;
            bail!("{}: ended ({status}) before it was ready", self.what);
        }
        Ok(line)
    }

    /// Tells it a line.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.process.stdin.as_mut().context("it is not told")?;

        writeln!(input, "{line}").with_context(|| self.what.clone())
    }

    /// Waits for its end and returns its output.
    pub fn output(mut self) -> Result<String> {
        let mut text = String::new();

        self.output.read_to_string(&mut text).with_context(|| self.what.clone())?;
        self.finish()?;
        Ok(text)
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) -> Result<()> {
        self.signal()?;
        self.finish()
    }

    fn signal(&self) -> Result<()> {
        kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM)
            .with_context(|| self.what.clone())
    }

    fn finish(&mut self) -> Result<()> {
        interrupt::remove(self.process.id());
        let status = self.process.wait().with_context(|| self.what.clone())?;

        interrupt::check()?;
        ensure!(status.success(), "{}: failed ({status})", self.what);
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        interrupt::remove(self.process.id());
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.signal();
            let _ = self.process.wait();
        }
    }
}
