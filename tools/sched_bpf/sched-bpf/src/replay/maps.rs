// SPDX-License-Identifier: GPL-2.0

//! Maps of a policy that is replayed.

use std::collections::HashMap;

use anyhow::{bail, ensure, Context, Result};
use libbpf_rs::libbpf_sys as sys;
use nix::libc;

/// How a map is looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// By any key
    Hash {
        /// What is not used is dropped when it is full
        drops: bool,
    },
    /// By an index
    Array,
    /// By a task
    TaskStorage,
    /// The global variables of a section
    Data {
        /// They are constants
        read_only: bool,
    },
    /// None of these, by its number: not replayed
    Other(u32),
}

/// A map.
#[derive(Debug)]
pub struct Map {
    /// Its name
    pub name: String,
    /// How it is looked up
    pub kind: Kind,
    /// Others write it, too
    pub shared: bool,
    /// Bytes of a key
    pub key_size: usize,
    /// Bytes of a value
    pub value_size: usize,
    max_entries: usize,
    /// Values of an entry: one, or one for each CPU
    width: usize,
    /// Entries that CPUs hold in reserve, where what is not used is dropped to have some
    reserve: usize,
    values: Vec<u8>,
    entries: HashMap<Vec<u8>, usize>,
    free: Vec<usize>,
    /// Free after this question: programs may have pointers to them
    leaving: Vec<usize>,
}

const fn errno(errno: i32) -> i64 {
    -(errno as i64)
}

impl Map {
    /// A map as it is when it is made, with `width` values an entry. `value` is that of global
    /// variables.
    pub fn new(
        name: String,
        kind: Kind,
        (key_size, value_size, max_entries): (usize, usize, usize),
        width: usize,
        value: Option<Vec<u8>>,
    ) -> Self {
        let mut map = Self {
            name,
            kind,
            shared: false,
            key_size,
            value_size,
            max_entries,
            width,
            reserve: 0,
            values: Vec::new(),
            entries: HashMap::new(),
            free: Vec::new(),
            leaving: Vec::new(),
        };
        let entries = match map.kind {
            Kind::Array => max_entries * width,
            Kind::Data { .. } => 1,
            _ => 0,
        };
        map.values.resize(entries * map.stride(), 0);
        if let Some(value) = value {
            map.values[..value.len()].copy_from_slice(&value);
        }
        map
    }

    /// Each CPU takes so many entries at a time, as of bpf_lru_list.c, and one more for an update;
    /// what is not used is dropped for that, also if others have some left.
    pub fn drop_for(mut self, cpus: usize) -> Self {
        const LOCAL_FREE_TARGET: usize = 128;

        if self.kind == (Kind::Hash { drops: true }) {
            let target = (self.max_entries / cpus / 2).clamp(1, LOCAL_FREE_TARGET);
            self.reserve = cpus * (target + 1);
        }
        self
    }

    fn stride(&self) -> usize {
        self.value_size.next_multiple_of(8)
    }

    /// The value where a value begins at `offset`, up to its end.
    fn value_at(&self, offset: usize) -> Result<std::ops::Range<usize>> {
        let begin = offset - offset % self.stride().max(1);

        ensure!(
            offset < self.values.len() && offset - begin < self.value_size,
            "outside a value of the map '{}'",
            self.name
        );
        Ok(offset..begin + self.value_size)
    }

    /// What is at `offset`, up to the end of the value.
    pub fn read(&self, offset: usize) -> Result<&[u8]> {
        Ok(&self.values[self.value_at(offset)?])
    }

    /// So many bytes from `offset` on, to be changed.
    pub fn write(&mut self, offset: usize, size: usize) -> Result<&mut [u8]> {
        ensure!(
            self.kind != Kind::Data { read_only: true },
            "a constant in '{}' is written",
            self.name
        );
        let range = self.value_at(offset)?;
        let name = &self.name;

        self.values[range]
            .get_mut(..size)
            .with_context(|| format!("beyond a value of the map '{name}'"))
    }

    /// Can it be used as the kernel would?
    pub fn check(&self) -> Result<()> {
        let name = &self.name;

        if let Kind::Other(number) = self.kind {
            bail!(
                "the map '{name}' is of type {number} (enum bpf_map_type), which is not replayed: \
                 hashes, arrays and task storage are"
            );
        }
        ensure!(
            !self.shared,
            "the map '{name}' is written by others too, as it is pinned or mapped into memory: \
             what it held was not recorded"
        );
        Ok(())
    }

    /// Where the value of an entry is, on this CPU.
    fn offset(&self, entry: usize, cpu: u32) -> usize {
        (entry * self.width + cpu as usize % self.width) * self.stride()
    }

    /// Where the value of a key is, on this CPU.
    pub fn find(&self, key: &[u8], cpu: u32) -> Result<Option<usize>> {
        self.check()?;
        let entry = match self.kind {
            Kind::Array => {
                let index = key.try_into().context("an index is of 4 bytes")?;
                let index = u32::from_ne_bytes(index) as usize;
                (index < self.max_entries).then_some(index)
            }
            _ => self.entries.get(key).copied(),
        };

        Ok(entry.map(|entry| self.offset(entry, cpu)))
    }

    /// A new value of zeros, on all CPUs.
    pub fn insert(&mut self, key: &[u8], cpu: u32) -> Result<Option<usize>> {
        if self.kind != Kind::TaskStorage && self.entries.len() + self.reserve >= self.max_entries {
            ensure!(
                self.reserve == 0,
                "the map '{}' is nearly full: what the kernel dropped from it was not recorded",
                self.name
            );
            return Ok(None);
        }
        let entry = self.new_entry();
        self.entries.insert(key.to_vec(), entry);
        Ok(Some(self.offset(entry, cpu)))
    }

    /// A place for values, of zeros.
    fn new_entry(&mut self) -> usize {
        let size = self.width * self.stride();
        let entry = self.free.pop().unwrap_or_else(|| {
            self.values.resize(self.values.len() + size, 0);
            self.values.len() / size - 1
        });

        self.values[entry * size..(entry + 1) * size].fill(0);
        entry
    }

    /// `bpf_map_update_elem()`
    pub fn update(&mut self, key: &[u8], cpu: u32, value: &[u8], flags: u64) -> Result<i64> {
        let found = self.find(key, cpu)?;
        let array = self.kind == Kind::Array;
        if flags > u64::from(sys::BPF_EXIST) {
            return Ok(errno(libc::EINVAL));
        }
        let at = match (found, flags) {
            (None, _) if array => return Ok(errno(libc::E2BIG)),
            (Some(_), flags) if flags == u64::from(sys::BPF_NOEXIST) => {
                return Ok(errno(libc::EEXIST));
            }
            (None, flags) if flags == u64::from(sys::BPF_EXIST) => {
                return Ok(errno(libc::ENOENT));
            }
            (Some(at), _) if array || self.width > 1 => at,
            (Some(_), _) => {
                // A new value takes its place: who looked the old one up still has that.
                let entry = self.new_entry();
                self.leaving
                    .extend(self.entries.insert(key.to_vec(), entry));
                self.offset(entry, cpu)
            }
            (None, _) => match self.insert(key, cpu)? {
                Some(at) => at,
                None => return Ok(errno(libc::E2BIG)),
            },
        };

        self.values[at..at + value.len()].copy_from_slice(value);
        Ok(0)
    }

    /// `bpf_map_delete_elem()`
    pub fn delete(&mut self, key: &[u8]) -> Result<i64> {
        self.check()?;
        if self.kind == Kind::Array {
            return Ok(errno(libc::EINVAL));
        }

        Ok(match self.entries.remove(key) {
            None => errno(libc::ENOENT),
            Some(entry) => {
                self.leaving.push(entry);
                0
            }
        })
    }

    /// No program has a pointer to a value any more.
    pub fn settle(&mut self) {
        self.free.append(&mut self.leaving);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(drops: bool) -> Map {
        let entries = if drops { 6 } else { 2 };

        Map::new("m".into(), Kind::Hash { drops }, (4, 12, entries), 1, None).drop_for(2)
    }

    #[test]
    fn hashes() {
        let mut map = hash(false);
        let value = [7; 12];

        assert_eq!(map.find(&[1; 4], 0).unwrap(), None);
        assert_eq!(map.update(&[1; 4], 0, &value, 2).unwrap(), -2);
        assert_eq!(map.update(&[1; 4], 0, &value, 1).unwrap(), 0);
        assert_eq!(map.update(&[1; 4], 0, &value, 1).unwrap(), -17);
        assert_eq!(map.update(&[2; 4], 0, &value, 0).unwrap(), 0);
        assert_eq!(map.update(&[3; 4], 0, &value, 0).unwrap(), -7);
        assert_eq!(map.find(&[2; 4], 1).unwrap(), Some(16));

        // What is deleted stays where it is until the program has ended.
        assert_eq!(map.delete(&[1; 4]).unwrap(), 0);
        assert_eq!(map.delete(&[1; 4]).unwrap(), -2);
        assert_eq!(map.update(&[3; 4], 0, &[9; 12], 0).unwrap(), 0);
        assert_eq!(map.find(&[3; 4], 0).unwrap(), Some(32));
        map.settle();
        assert_eq!(map.delete(&[3; 4]).unwrap(), 0);
        assert_eq!(map.update(&[4; 4], 0, &[9; 12], 0).unwrap(), 0);
        assert_eq!(map.find(&[4; 4], 0).unwrap(), Some(0));
    }

    #[test]
    fn an_old_value_stays_for_who_has_it() {
        let mut map = hash(false);

        map.update(&[1; 4], 0, &[7; 12], 0).unwrap();
        let old = map.find(&[1; 4], 0).unwrap().unwrap();
        map.update(&[1; 4], 0, &[8; 12], 0).unwrap();
        let new = map.find(&[1; 4], 0).unwrap().unwrap();
        assert_eq!(
            (map.read(old).unwrap(), map.read(new).unwrap()),
            (&[7; 12][..], &[8; 12][..])
        );
        assert_eq!(map.update(&[1; 4], 0, &[8; 12], 4).unwrap(), -22);
    }

    #[test]
    fn each_cpu_has_a_value() {
        let kind = Kind::Hash { drops: false };
        let mut map = Map::new("m".into(), kind, (4, 4, 1), 2, None);

        assert_eq!(map.update(&[1; 4], 0, &[7; 4], 0).unwrap(), 0);
        let other = map.find(&[1; 4], 1).unwrap().unwrap();
        assert_eq!(map.read(other).unwrap(), [0; 4]);
        assert_eq!(map.update(&[1; 4], 1, &[8; 4], 1).unwrap(), -17);
        assert_eq!(map.update(&[1; 4], 1, &[8; 4], 2).unwrap(), 0);
        let first = map.find(&[1; 4], 0).unwrap().unwrap();
        assert_eq!(map.read(first).unwrap(), [7; 4]);
        assert_eq!(map.update(&[2; 4], 1, &[8; 4], 0).unwrap(), -7);
    }

    #[test]
    fn values_have_ends() {
        let mut map = hash(false);
        map.insert(&[1; 4], 0).unwrap();
        map.insert(&[2; 4], 0).unwrap();

        assert_eq!(map.read(16 + 4).unwrap(), [0; 8]);
        assert!(map.read(12).is_err());
        assert!(map.write(16 + 8, 8).is_err());
        assert!(map.write(32, 1).is_err());
    }

    #[test]
    fn arrays() {
        let mut map = Map::new("a".into(), Kind::Array, (4, 4, 3), 2, None);
        let key = |n: u32| n.to_ne_bytes();

        assert_eq!(map.find(&key(2), 0).unwrap(), Some(32));
        assert_eq!(map.find(&key(2), 1).unwrap(), Some(40));
        assert_eq!(map.find(&key(3), 0).unwrap(), None);
        assert_eq!(map.update(&key(3), 0, &[0; 4], 0).unwrap(), -7);
        assert_eq!(map.delete(&key(0)).unwrap(), -22);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut full = hash(true);
        full.insert(&[1; 4], 0).unwrap();
        full.insert(&[2; 4], 0).unwrap();
        let error = full.update(&[3; 4], 0, &[0; 12], 0).unwrap_err();
        assert!(error.to_string().contains("'m' is nearly full"), "{error}");

        let mut shared = hash(false);
        shared.shared = true;
        let error = shared.find(&[1; 4], 0).unwrap_err().to_string();
        assert!(error.contains("written by others too"), "{error}");

        let constants = Kind::Data { read_only: true };
        let mut data = Map::new("d".into(), constants, (4, 8, 1), 1, Some(vec![5; 8]));
        assert_eq!(data.read(7).unwrap(), [5]);
        assert!(data.write(0, 1).is_err());
    }
}
