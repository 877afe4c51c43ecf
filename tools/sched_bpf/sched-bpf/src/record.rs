// SPDX-License-Identifier: GPL-2.0

//! `record`: the questions of a live system, to a file.

use std::cell::RefCell;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use libbpf_rs::btf::Btf;
use libbpf_rs::libbpf_sys::{BPF_F_AFTER, BPF_F_BEFORE, BPF_F_PREORDER};
use libbpf_rs::{Link as ProgramLink, MapCore, MapFlags, RingBufferBuilder};

use crate::attach::{self, Attached, Where};
use crate::cli::{PolicyArgs, RecordArgs};
use crate::fields::{self, Span};
use crate::kernel;
use crate::link::Place;
use crate::object::{map, Opened, Policies, Source};
use crate::recording::{
    Field, Header, Recorded, Writer, ENTITY_SIZE, HOOKS, MAX_IMAGE, MAX_SPANS, QUESTION_SIZE,
};
use crate::run::{say, wait_until, Event};
use crate::signals::Signals;
use crate::target::{Cgroup, Target};
use nix::sys::signal::Signal;

/// How often the ring is emptied.
const INTERVAL: Duration = Duration::from_millis(10);

/// Records that are taken from the ring before anything else is looked at.
const AT_ONCE: usize = 4096;

/// What is recorded of a task unless more is asked for, where the kernel has it.
const FIELDS: [&str; 46] = [
    "thread_info.cpu",
    "thread_info.flags",
    "__state",
    "flags",
    "on_cpu",
    "on_rq",
    "wakee_flips",
    "recent_used_cpu",
    "wake_cpu",
    "prio",
    "static_prio",
    "normal_prio",
    "rt_priority",
    "se.load.weight",
    "se.h_load.weight",
    "se.deadline",
    "se.on_rq",
    "se.sched_delayed",
    "se.rel_deadline",
    "se.custom_slice",
    "se.exec_start",
    "se.sum_exec_runtime",
    "se.prev_sum_exec_runtime",
    "se.vruntime",
    "se.vlag",
    "se.vprot",
    "se.slice",
    "se.nr_migrations",
    "se.depth",
    "se.avg.load_avg",
    "se.avg.runnable_avg",
    "se.avg.util_avg",
    "policy",
    "nr_cpus_allowed",
    "migration_disabled",
    "mm",
    "exit_state",
    "pid",
    "tgid",
    "utime",
    "stime",
    "nvcsw",
    "nivcsw",
    "start_time",
    "start_boottime",
    "comm",
];

/// Reading some bytes that nobody wants takes less time than to read twice.
const MAX_GAP: usize = 64;

/// Members to record, by where they are in `struct task_struct`.
struct Plan {
    fields: Vec<Field>,
    spans: Vec<Span>,
    image: usize,
}

impl Plan {
    fn new(btf: &Btf, more: &[String]) -> Result<Self> {
        let mut found: Vec<(String, Span)> = FIELDS
            .iter()
            .filter_map(|path| {
                let span = fields::find(btf, "task_struct", path).ok()?;
                Some((path.to_string(), span))
            })
            .collect();
        for path in more {
            let span = fields::find(btf, "task_struct", path)
                .with_context(|| format!("--field {path}"))?;
            found.push((path.clone(), span));
        }
        found.sort_by_key(|(_, span)| (span.offset, span.size));
        found.dedup_by_key(|(path, _)| path.clone());

        let (mut fields, mut spans, mut image) = (Vec::new(), Vec::<Span>::new(), 0);
        for (path, span) in found {
            let end = span.offset + span.size;
            match spans.last_mut() {
                Some(last) if span.offset <= last.offset + last.size + MAX_GAP => {
                    let more = end.saturating_sub(last.offset + last.size);
                    last.size += more;
                    image += more;
                }
                _ => {
                    spans.push(span);
                    image += span.size;
                }
            }
            let last = spans[spans.len() - 1];
            fields.push(Field {
                path,
                at: image - (last.offset + last.size - span.offset),
                size: span.size,
            });
        }
        ensure!(
            image <= MAX_IMAGE && spans.len() <= MAX_SPANS,
            "--field: {image} bytes in {} places of a task; {MAX_IMAGE} in {MAX_SPANS} can be \
             recorded",
            spans.len()
        );
        Ok(Self {
            fields,
            spans,
            image,
        })
    }

    /// What is in an image and in no field.
    fn gaps(&self) -> Vec<Range<usize>> {
        let mut gaps = Vec::new();
        let mut end = 0;

        for field in &self.fields {
            if field.at > end {
                gaps.push(end..field.at);
            }
            end = end.max(field.at + field.size);
        }
        gaps
    }
}

/// Forgets what lies between the fields of tasks: nobody has asked for it, and it may be a
/// secret.
fn clear_gaps(record: &mut [u8], gaps: &[Range<usize>], image: usize) {
    let tasks = record.get_mut(QUESTION_SIZE..).unwrap_or_default();

    for task in tasks.chunks_exact_mut(ENTITY_SIZE + image) {
        for gap in gaps {
            task[ENTITY_SIZE..][gap.clone()].fill(0);
        }
    }
}

/// The programs that record.
struct Recorder {
    policy: Policies,
    links: Vec<ProgramLink>,
}

impl Recorder {
    /// Loads them, to be attached before `policy`.
    fn load(plan: &Plan, policy: Option<&Policies>) -> Result<Self> {
        let mut opened = Opened::open(Source::Record)?;
        let spans: Vec<u8> = plan
            .spans
            .iter()
            .flat_map(|span| [span.offset as u32, span.size as u32])
            .flat_map(u32::to_ne_bytes)
            .collect();

        opened.set_bytes("spans", &spans)?;
        opened.set("nr_spans", &plan.spans.len().to_string())?;
        opened.set("image_size", &plan.image.to_string())?;
        let mut watching = Vec::new();
        for (i, hook) in HOOKS.iter().enumerate() {
            let name = format!("answered_{i}");
            match policy.and_then(|policy| policy.program_of(hook)) {
                None => opened.leave_out(&name)?,
                Some((program, fd)) => {
                    opened.watch(&name, fd, program)?;
                    watching.push(name);
                }
            }
        }
        let policy = opened.load(None, true)?;
        let links = policy
            .object
            .progs_mut()
            .filter(|program| watching.iter().any(|name| program.name() == name.as_str()))
            .map(|program| program.attach().context("answers cannot be watched"))
            .collect::<Result<_>>()?;

        Ok(Self { policy, links })
    }

    fn lost(&self) -> Result<u64> {
        let map = map(&self.policy.object, "lost")?;
        let value = map
            .lookup(&0u32.to_ne_bytes(), MapFlags::ANY)?
            .context("the map 'lost' is empty")?;

        Ok(u64::from_ne_bytes(value[..].try_into()?))
    }
}

/// The policy to record, if there is one.
fn load(args: &RecordArgs) -> Result<Option<Policies>> {
    let policy_args = PolicyArgs {
        set: args.set.clone(),
        shadow: args.shadow,
        ..Default::default()
    };
    let Some(path) = &args.file else {
        ensure!(
            args.set.is_empty() && !args.shadow,
            "--set and --shadow are of a policy; give its FILE"
        );
        return Ok(None);
    };
    let policies = attach::load_file(path, &policy_args)?;

    ensure!(
        policies.tables.len() == 1,
        "{}: {} policies in it; one can be recorded",
        path.display(),
        policies.tables.len()
    );
    Ok(Some(policies))
}

fn header(
    args: &RecordArgs,
    plan: Plan,
    cgroup: Option<&Cgroup>,
    policy: Option<(&Policies, &Attached)>,
) -> Result<Header> {
    Ok(Header {
        release: kernel::release()?,
        cpus: kernel::nr_cpu_ids()?,
        cgroup_id: cgroup.map(Cgroup::id).transpose()?.unwrap_or_default(),
        policy: policy.map(|(policies, attached)| Recorded {
            name: attached.name.clone(),
            id: attached.id,
            file: args
                .file
                .as_deref()
                .map(Path::display)
                .map(|file| file.to_string())
                .unwrap_or_default(),
            set: args
                .set
                .iter()
                .map(|set| format!("{}={}", set.name, set.value))
                .collect(),
            shadow: args.shadow,
            hooks: policies
                .answers
                .iter()
                .map(|(_, hook)| hook.clone())
                .collect(),
        }),
        image: plan.image,
        fields: plan.fields,
    })
}

/// Records until the time is over or a signal comes.
pub fn record(args: &RecordArgs) -> Result<()> {
    kernel::require_policies()?;
    let target = match &args.cgroup {
        None => Target::All,
        Some(path) => Target::cgroup_of("--cgroup", path)?,
    };
    let plan = Plan::new(&kernel::btf()?, &args.field)?;
    let signals = Signals::block(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?;
    let policies = load(args)?;
    let recorder = Recorder::load(&plan, policies.as_ref())?;
    let to = |place| Where {
        cgroup: target.as_cgroup(),
        place,
    };
    // A policy that is obeyed is asked what those before it have no opinion on; all others
    // are before those.
    let obeyed = policies.is_some() && !args.shadow;
    let preorder = if obeyed { 0 } else { BPF_F_PREORDER };
    let first = Place {
        flags: if obeyed { 0 } else { BPF_F_BEFORE | preorder },
        relative: None,
    };

    // Before the policy, which then has a state that follows from what is recorded.
    let mut attached = attach::attach_all(&recorder.policy, &to(first))?;
    if let Some(policies) = &policies {
        let next = Place {
            flags: BPF_F_AFTER | preorder,
            relative: Some(attached[0].link_id),
        };
        attached.extend(attach::attach_all(policies, &to(next))?);
    }
    let recorded = policies.as_ref().zip(attached.get(1));
    let (gaps, image) = (plan.gaps(), plan.image);
    let header = header(args, plan, target.as_cgroup(), recorded)?;
    let output = args.output.display();
    let writer = Writer::create(&args.output, &header).with_context(|| output.to_string())?;
    let writer = RefCell::new((writer, 0u64, None));
    let mut clean = Vec::new();

    let records = map(&recorder.policy.object, "records")?;
    let mut builder = RingBufferBuilder::new();
    builder.add(&records, |bytes| {
        let (writer, count, error) = &mut *writer.borrow_mut();
        *count += u64::from(bytes.first() == Some(&1));
        clean.clear();
        clean.extend_from_slice(bytes);
        clear_gaps(&mut clean, &gaps, image);
        match writer.record(&clean) {
            Ok(()) => 0,
            Err(e) => {
                *error = Some(e);
                -1
            }
        }
    })?;
    let ring = builder.build()?;
    // How many there were: the ring may fill as fast as it is emptied.
    let consume = || {
        let consumed = ring.consume_raw_n(AT_ONCE);
        if let Some(error) = writer.borrow_mut().2.take() {
            return Err(error).with_context(|| output.to_string());
        }
        usize::try_from(consumed).context("the ring of records cannot be read")
    };

    let end = args.seconds.map(|seconds| Instant::now() + seconds);
    let mut full = false;
    let detached = loop {
        let next = Instant::now() + if full { Duration::ZERO } else { INTERVAL };
        let event = wait_until(
            &signals,
            None,
            &attached,
            Some(end.map_or(next, |end| end.min(next))),
        )?;
        full = consume()? >= AT_ONCE;
        match event {
            Some(Event::Detached(i)) => break Some(attached[i].how_detached(target.as_cgroup())),
            Some(_) => break None,
            None if end.is_some_and(|end| Instant::now() >= end) => break None,
            None => {}
        }
    };
    // First the policy: what it is asked is recorded.
    attached.reverse();
    drop(attached);
    while consume()? >= AT_ONCE {}
    drop(ring);

    let lost = recorder.lost()?;
    drop(recorder.links);
    let (writer, count, _) = writer.into_inner();
    writer.end(lost).with_context(|| output.to_string())?;
    say(&format!(
        "{output}: {count} questions recorded, {lost} records lost"
    ))?;
    match detached {
        Some(how) => bail!("{how}; what was recorded until then is in {output}"),
        None => Ok(()),
    }
}

impl Policies {
    /// The program that answers a hook, and its descriptor.
    fn program_of(&self, hook: &str) -> Option<(&str, i32)> {
        let (name, _) = self.answers.iter().find(|(_, of)| of == hook)?;
        let program = self.object.progs().find(|p| p.name() == name.as_str())?;

        Some((name, program.as_fd().as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_between_fields_is_kept() {
        let field = |at, size| Field {
            path: String::new(),
            at,
            size,
        };
        let plan = Plan {
            fields: vec![field(0, 4), field(6, 4), field(7, 1), field(12, 2)],
            spans: Vec::new(),
            image: 14,
        };
        assert_eq!(plan.gaps(), [4..6, 10..12]);

        let mut record = vec![1; QUESTION_SIZE + 2 * (ENTITY_SIZE + 14)];
        clear_gaps(&mut record, &plan.gaps(), 14);
        let zeros: Vec<_> = (0..record.len()).filter(|i| record[*i] == 0).collect();
        let first = QUESTION_SIZE + ENTITY_SIZE;
        let expected =
            [first, first + 14 + ENTITY_SIZE].map(|task| [4, 5, 10, 11].map(|at| task + at));
        assert_eq!(zeros, expected.concat());

        // What is no question has no tasks.
        let mut answer = vec![1; 32];
        clear_gaps(&mut answer, &plan.gaps(), 14);
        assert_eq!(answer, [1; 32]);
    }
}
