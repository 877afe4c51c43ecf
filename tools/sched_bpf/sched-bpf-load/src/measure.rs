// SPDX-License-Identifier: GPL-2.0

//! What a workload measured, as lines of a name and a number.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};

/// Numbers by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures(BTreeMap<String, u64>);

impl Measures {
    /// Sets a number.
    pub fn set(&mut self, name: &str, value: u64) {
        self.0.insert(name.to_string(), value);
    }

    /// The number of that name.
    pub fn get(&self, name: &str) -> Result<u64> {
        self.0
            .get(name)
            .copied()
            .with_context(|| format!("no '{name}' was measured"))
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Result<Self> {
        text.lines()
            .map(|line| {
                let (name, value) = line
                    .split_once(' ')
                    .with_context(|| format!("'{line}': a name and a number were expected"))?;
                let value = value
                    .parse()
                    .with_context(|| format!("{name} '{value}': a number was expected"))?;
                Ok((name.to_string(), value))
            })
            .collect::<Result<_>>()
            .map(Self)
    }
}

impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, value)| writeln!(f, "{name} {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut measures = Measures::default();
        measures.set("requests", 12);
        measures.set("wakeup_p99_ns", 3);

        let read = Measures::parse(&measures.to_string()).unwrap();
        assert_eq!(read, measures);
        assert_eq!(read.get("requests").unwrap(), 12);
        assert!(read.get("other").is_err());
    }

    #[test]
    fn errors() {
        assert!(Measures::parse("requests").is_err());
        assert!(Measures::parse("requests many").is_err());
    }
}
