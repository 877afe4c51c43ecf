// SPDX-License-Identifier: GPL-2.0

//! What a run of a load has seen, and its form as text: a line for each invocation.

use std::fmt::Write;
use std::thread::ScopedJoinHandle;

use anyhow::{bail, Result};

/// What a line of the output is about.
const FUNCTION: &str = "function";
const BYSTANDER: &str = "bystander";

/// What became of a request, or of a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// CPU time that it takes, in nanoseconds
    pub length_ns: u64,
    /// From when it was due until it ran first, in nanoseconds
    pub wait_ns: u64,
    /// From when it was due until its end, in nanoseconds
    pub duration_ns: u64,
}

impl Invocation {
    /// One of which is known how long it took: what is not its work it waited.
    pub fn lasted(length_ns: u64, duration_ns: u64) -> Self {
        Self { length_ns, wait_ns: duration_ns.saturating_sub(length_ns), duration_ns }
    }
}

/// What a run of the load saw.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub functions: Vec<Invocation>,
    /// Pieces of what computes beside them
    pub bystander: Vec<Invocation>,
}

impl Seen {
    /// Reads what [`print`](Self::print) made.
    pub fn parse(text: &str) -> Result<Self> {
        let mut seen = Self::default();

        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let numbers: Vec<u64> = words[1..].iter().flat_map(|word| word.parse()).collect();
            let [length_ns, wait_ns, duration_ns] = numbers[..] else {
                bail!("'{line}': a word and three numbers were expected");
            };
            let of = match words[0] {
                FUNCTION => &mut seen.functions,
                BYSTANDER => &mut seen.bystander,
                other => bail!("'{other}': {FUNCTION} or {BYSTANDER} was expected"),
            };
            of.push(Invocation { length_ns, wait_ns, duration_ns });
        }
        Ok(seen)
    }

    /// Takes what another has seen too.
    pub fn append(&mut self, mut other: Self) {
        self.functions.append(&mut other.functions);
        self.bystander.append(&mut other.bystander);
    }

    /// As lines.
    pub fn print(&self) -> String {
        let mut text = String::new();

        for (word, all) in [(FUNCTION, &self.functions), (BYSTANDER, &self.bystander)] {
            for i in all {
                let (length, wait, duration) = (i.length_ns, i.wait_ns, i.duration_ns);
                // Writing to a string does not fail.
                let _ = writeln!(text, "{word} {length} {wait} {duration}");
            }
        }
        text
    }
}

/// What became of the invocations of all these threads.
pub fn all_of(threads: Vec<ScopedJoinHandle<Result<Vec<Invocation>>>>) -> Result<Vec<Invocation>> {
    let mut all = Vec::new();

    for thread in threads {
        all.append(&mut thread.join().expect("a thread panicked")?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let one = Invocation { length_ns: 1, wait_ns: 2, duration_ns: 3 };
        let seen = Seen { functions: vec![one], bystander: vec![one, one] };

        assert_eq!(Seen::parse(&seen.print()).unwrap(), seen);
        assert!(Seen::parse("function 1 2").is_err());
        assert!(Seen::parse("function 1 2 x").is_err());
        assert!(Seen::parse("other 1 2 3").is_err());
    }
}
