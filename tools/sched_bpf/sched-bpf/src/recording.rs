// SPDX-License-Identifier: GPL-2.0

//! The file of recorded questions.
//!
//! A line that says what it is, a header in JSON after its length, and records, each after
//! its length, as record.bpf.c makes them; lengths are 32 bits. All is in the byte order of
//! the machine. An end record says how many were lost: without it the file is cut off.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use serde::{Deserialize, Serialize};

/// What the file begins with. The number changes with what follows.
const MAGIC: &[u8] = b"sched-bpf recording 1\n";

/// As in record.bpf.c.
pub const MAX_SPANS: usize = 64;
/// Bytes of a task that are recorded at most.
pub const MAX_IMAGE: usize = 2048;
/// Cgroups of a task that are recorded, from the root on.
pub const MAX_LEVELS: usize = 8;
/// CPUs of which is recorded whether they are idle, and whether a task may run there.
pub const MAX_CPUS: u32 = 64;

const MAX_RECORD: usize = 16 * 1024;
/// As many as Linux has anywhere.
const MOST_CPUS: u32 = 8192;

/// Bytes of a question before its tasks.
pub const QUESTION_SIZE: usize = 88;
/// Bytes of a task before its image.
pub const ENTITY_SIZE: usize = 112;

const QUESTION: u32 = 1;
const ANSWER: u32 = 2;
const END: u32 = 3;

/// The hooks, as record.bpf.c numbers them.
pub const HOOKS: [&str; 6] = [
    "cfs_check_preempt_wakeup",
    "cfs_wakeup_preempt_entity",
    "cfs_check_preempt_tick",
    "cfs_slice",
    "cfs_select_cpu",
    "cfs_can_migrate",
];

/// A member of `struct task_struct` that is recorded.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Field {
    /// Its path, as `se.slice`
    pub path: String,
    /// Where it is in an image
    pub at: usize,
    /// Its size in bytes
    pub size: usize,
}

/// The policy whose answers are recorded.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Recorded {
    /// Name that the kernel shows
    pub name: String,
    /// Number of the attachment
    pub id: u32,
    /// The object that it came from
    pub file: String,
    /// What it was set to, as NAME=VALUE
    pub set: Vec<String>,
    /// Was it only asked?
    pub shadow: bool,
    /// The hooks that it answers
    pub hooks: Vec<String>,
}

/// What a recording is of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Header {
    /// Release of the kernel
    pub release: String,
    /// One more than the highest number of a possible CPU
    pub cpus: u32,
    /// Id of the cgroup whose tasks the questions are about; 0: all
    pub cgroup_id: u64,
    /// The policy that answered, if there was one
    pub policy: Option<Recorded>,
    /// What is known of a task
    pub fields: Vec<Field>,
    /// Bytes of an image
    pub image: usize,
}

/// A task of a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entity {
    /// Address of its `struct task_struct`
    pub task: u64,
    /// What `bpf_sched_entity_lag()` returns
    pub lag: i64,
    /// What `bpf_sched_entity_to_tgidpid()` returns
    pub tgidpid: u64,
    /// What `bpf_sched_entity_eligible()` returns
    pub eligible: i32,
    /// What `bpf_sched_entity_nr_runnable()` returns
    pub nr_runnable: u32,
    /// Level of its cgroup: 0 is the root
    pub level: u32,
    /// Ids of its cgroups, from the root on
    pub cgroups: [u64; MAX_LEVELS],
    /// CPUs below [`MAX_CPUS`] that it may run on
    pub allowed: u64,
    /// What is recorded of its `struct task_struct`
    pub image: Vec<u8>,
}

/// A question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Its number, which its answer has too
    pub seq: u64,
    /// Which hook, by its place in [`HOOKS`]
    pub hook: usize,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`
    pub time: u64,
    /// Where it was asked
    pub cpu: u32,
    /// What `bpf_get_current_pid_tgid()` returns
    pub current_tgidpid: u64,
    /// Address of the task that runs
    pub current: u64,
    /// Arguments, without `this`
    pub args: [u64; 4],
    /// CPUs below [`MAX_CPUS`] that are idle, if a CPU is asked for
    pub idle: u64,
    /// The tasks that it is about: one, or two for a wakeup
    pub entities: Vec<Entity>,
}

/// What is recorded.
#[derive(Debug, PartialEq)]
pub enum Record {
    /// A question
    Question(Question),
    /// What a policy answered to the question of this number
    Answer(u64, i32),
    /// That is all; so many were lost
    End(u64),
}

/// Reads numbers off a record.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .context("a record ends early")?;

        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_ne_bytes(self.take(4)?.try_into()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_ne_bytes(self.take(8)?.try_into()?))
    }
}

impl Record {
    fn parse(bytes: &[u8], image: usize) -> Result<Self> {
        let mut from = Bytes(bytes);
        let kind = from.u32()?;
        let hook = from.u32()? as usize;
        let seq = from.u64()?;
        let time = from.u64()?;
        let cpu = from.u32()?;
        let answer = from.u32()? as i32;

        match kind {
            ANSWER => return Ok(Self::Answer(seq, answer)),
            END => return Ok(Self::End(seq)),
            QUESTION => {}
            _ => bail!("a record of kind {kind}, 1 to 3 are known"),
        }
        ensure!(
            hook < HOOKS.len(),
            "a question of hook {hook}, which is not known"
        );
        let mut question = Question {
            seq,
            hook,
            time,
            cpu,
            current_tgidpid: from.u64()?,
            current: from.u64()?,
            ..Default::default()
        };
        for arg in &mut question.args {
            *arg = from.u64()?;
        }
        question.idle = from.u64()?;
        while !from.0.is_empty() {
            question.entities.push(Entity::parse(&mut from, image)?);
        }
        Ok(Self::Question(question))
    }
}

impl Entity {
    fn parse(from: &mut Bytes, image: usize) -> Result<Self> {
        let mut entity = Self {
            task: from.u64()?,
            lag: from.u64()? as i64,
            tgidpid: from.u64()?,
            eligible: from.u32()? as i32,
            nr_runnable: from.u32()?,
            level: from.u32()?,
            ..Default::default()
        };
        from.u32()?;
        for id in &mut entity.cgroups {
            *id = from.u64()?;
        }
        entity.allowed = from.u64()?;
        entity.image = from.take(image)?.to_vec();
        Ok(entity)
    }
}

/// A recording in the making.
pub struct Writer(BufWriter<File>);

impl Writer {
    /// Makes the file.
    ///
    /// It tells addresses of the kernel, which not everybody may know.
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        const MODE: u32 = 0o600;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(path)?;
        file.set_permissions(Permissions::from_mode(MODE))?;
        let mut writer = Self(BufWriter::new(file));
        let text = serde_json::to_vec(header)?;

        writer.0.write_all(MAGIC)?;
        writer.record(&text)?;
        Ok(writer)
    }

    /// Adds a record, as the kernel gives it.
    pub fn record(&mut self, bytes: &[u8]) -> Result<()> {
        let len = u32::try_from(bytes.len())?;

        self.0.write_all(&len.to_ne_bytes())?;
        Ok(self.0.write_all(bytes)?)
    }

    /// Ends it.
    pub fn end(mut self, lost: u64) -> Result<()> {
        let mut record = [0; 32];

        record[..4].copy_from_slice(&END.to_ne_bytes());
        record[8..16].copy_from_slice(&lost.to_ne_bytes());
        self.record(&record)?;
        Ok(self.0.flush()?)
    }
}

/// A recording that is read.
pub struct Reader {
    from: BufReader<File>,
    /// What it is of
    pub header: Header,
}

/// Reads something after its length; none at the end of the file.
fn read_sized(from: &mut impl Read, max: usize) -> Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    match from.read_exact(&mut len) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let len = u32::from_ne_bytes(len) as usize;
    ensure!(
        len <= max,
        "something of {len} bytes, {max} are expected at most"
    );

    let mut bytes = vec![0; len];
    match from.read_exact(&mut bytes) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(None),
        result => {
            result?;
            Ok(Some(bytes))
        }
    }
}

impl Reader {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut from = BufReader::new(File::open(path)?);
        let mut magic = [0; MAGIC.len()];

        ensure!(
            from.read_exact(&mut magic).is_ok() && magic == MAGIC,
            "not a recording that this sched-bpf knows: it does not begin with \"{}\"",
            String::from_utf8_lossy(MAGIC).trim_end()
        );
        let text = read_sized(&mut from, 1 << 20)?.context("it has no header")?;
        let header: Header = serde_json::from_slice(&text).context("its header")?;
        ensure!(
            (1..=MOST_CPUS).contains(&header.cpus),
            "it is of {} CPUs; 1 to {MOST_CPUS} are accepted",
            header.cpus
        );
        Ok(Self { from, header })
    }

    /// The next record.
    pub fn next(&mut self) -> Result<Record> {
        let bytes = read_sized(&mut self.from, MAX_RECORD)?
            .context("the recording is cut off: its end is missing")?;

        Record::parse(&bytes, self.header.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let mut bytes = Vec::new();
        for n in [QUESTION, 3] {
            bytes.extend(n.to_ne_bytes());
        }
        for n in [7u64, 1000] {
            bytes.extend(n.to_ne_bytes());
        }
        bytes.extend([1u32, 0].iter().flat_map(|n| n.to_ne_bytes()));
        for n in 10u64..17 {
            bytes.extend(n.to_ne_bytes());
        }
        let without = Record::parse(&bytes, 2).unwrap();
        let Record::Question(question) = without else {
            panic!("{without:?}");
        };
        assert_eq!((question.seq, question.hook, question.cpu), (7, 3, 1));
        assert_eq!(question.args, [12, 13, 14, 15]);
        assert_eq!(question.idle, 16);
        assert!(question.entities.is_empty());

        let error = Record::parse(&[&bytes[..], &[0; 20]].concat(), 2).unwrap_err();
        assert_eq!(error.to_string(), "a record ends early");
        bytes[4] = 6;
        let error = Record::parse(&bytes, 2).unwrap_err().to_string();
        assert!(error.contains("hook 6"), "{error}");
    }
}
