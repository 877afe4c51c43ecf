// SPDX-License-Identifier: GPL-2.0

//! Output: lines for people or JSON, errors, progress.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// What standard output gets.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// Print a value, as JSON or as this text, at once.
    pub fn print(self, value: &impl Serialize, text: &str) -> Result<()> {
        let mut json = String::new();
        if self.json {
            json = serde_json::to_string_pretty(value)? + "\n";
        }
        write(if self.json { &json } else { text })
    }

    /// Print that something was done to something, as one line.
    pub fn event(self, event: &str, what: &str, more: &str) -> Result<()> {
        let value = serde_json::json!({ "event": event, "what": what, "more": more });

        write(&match (self.json, more) {
            (true, _) => format!("{value}\n"),
            (false, "") => format!("{event}: {what}\n"),
            (false, _) => format!("{event}: {what}, {more}\n"),
        })
    }
}

/// Print a text at once, for a reader that waits for it.
pub fn write(text: &str) -> Result<()> {
    let mut out = io::stdout();

    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")
}

/// Print an error as one line.
pub fn print_error(message: &str) {
    eprintln!("sched-bpf: error: {message}");
}

/// Print a warning as one line.
pub fn warn(message: &str) {
    eprintln!("sched-bpf: warning: {message}");
}

/// A line of progress with the time that is left: one that is rewritten on a terminal, a line
/// for each step elsewhere.
pub struct Progress {
    terminal: bool,
}

impl Progress {
    /// Begin.
    pub fn new() -> Self {
        Self { terminal: io::stderr().is_terminal() }
    }

    /// Show a step.
    pub fn step(&self, text: &str, left: Duration) {
        let left = humantime::format_duration(Duration::from_secs(left.as_secs()));

        if self.terminal {
            eprint!("\r\x1b[K{text}, {left} left");
        } else {
            eprintln!("{text}, {left} left");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
