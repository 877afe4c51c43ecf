// SPDX-License-Identifier: GPL-2.0

//! `replay`: lets a policy answer recorded questions.

mod maps;
mod object;
mod vm;
mod world;

use std::collections::HashMap;
use std::fmt::Write;
use std::process::ExitCode;

use anyhow::{bail, ensure, Context, Result};
use comfy_table::{presets, CellAlignment, Table};
use libbpf_rs::btf::Btf;

use crate::cli::ReplayArgs;
use crate::kernel;
use crate::object::{Opened, Source};
use crate::print;
use crate::recording::{Header, Question, Reader, Record, HOOKS};
use object::Replayed;
use world::{Layout, Recorded};

/// The answers to the questions of a hook.
#[derive(Clone, Default)]
struct Answers {
    questions: u64,
    same: u64,
    negative: u64,
    zero: u64,
    positive: u64,
}

/// What a recording and a policy have in common.
struct Comparison {
    hooks: Vec<Answers>,
    differing: u64,
    /// The first of them, in words
    shown: String,
    questions: u64,
    /// When the first and the last were asked
    times: Option<(u64, u64)>,
    lost: u64,
}

/// The answers of a recording, by their questions.
fn answers_of(reader: &mut Reader) -> Result<(HashMap<u64, i32>, u64)> {
    let mut answers = HashMap::new();

    loop {
        match reader.next()? {
            Record::Question(_) => {}
            Record::Answer(seq, answer) => {
                answers.insert(seq, answer);
            }
            Record::End(lost) => return Ok((answers, lost)),
        }
    }
}

/// What an answer changes is told by its sign.
fn count(answers: &mut Answers, answer: i32) {
    match answer.signum() {
        -1 => answers.negative += 1,
        0 => answers.zero += 1,
        _ => answers.positive += 1,
    }
}

/// A question, for who looks for its place in a recording.
fn describe(question: &Question, header: &Header, begin: u64) -> String {
    let tasks: Vec<String> = question
        .entities
        .iter()
        .map(|entity| {
            let comm = header.fields.iter().find(|field| field.path == "comm");
            let comm = comm
                .and_then(|field| entity.image.get(field.at..field.at + field.size))
                .map(|bytes| bytes.split(|byte| *byte == 0).next().unwrap_or_default())
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                .unwrap_or_default();
            format!(
                "{} ({}) with lag {} ns",
                comm.escape_debug(),
                entity.tgidpid as u32,
                entity.lag
            )
        })
        .collect();

    format!(
        "{} after {:.6} s on CPU {}, about {}",
        HOOKS[question.hook],
        question.time.saturating_sub(begin) as f64 / 1e9,
        question.cpu,
        tasks.join(" and ")
    )
}

fn compare(
    args: &ReplayArgs,
    header: &Header,
    btf: &Btf,
    object: &mut Replayed,
) -> Result<Comparison> {
    let layout = Layout::new(btf, header)?;
    let path = args.recording.display().to_string();
    let (recorded, lost) = answers_of(&mut Reader::open(&args.recording)?).context(path.clone())?;
    let mut reader = Reader::open(&args.recording)?;
    let mut all = Comparison {
        hooks: vec![Answers::default(); HOOKS.len()],
        differing: 0,
        shown: String::new(),
        questions: 0,
        times: None,
        lost,
    };

    loop {
        let question = match reader.next().context(path.clone())? {
            Record::Question(question) => question,
            Record::Answer(..) => continue,
            Record::End(_) => return Ok(all),
        };
        // Without one it was not asked, and has no part in the state of the policy.
        let hook = HOOKS[question.hook];
        let expected = recorded.get(&question.seq).copied();
        let answered = header
            .policy
            .as_ref()
            .is_some_and(|policy| policy.hooks.iter().any(|of| of == hook));
        if answered && expected.is_none() {
            continue;
        }

        all.questions += 1;
        let (begin, _) = all.times.unwrap_or((question.time, 0));
        all.times = Some((begin, question.time));
        let program = object
            .programs
            .iter()
            .position(|program| program.hook == hook);
        let answer = match program {
            None => 0,
            Some(nr) => {
                let insns = std::mem::take(&mut object.programs[nr].insns);
                let result = Recorded::new(&layout, header, object, &question)
                    .and_then(|mut world| vm::run(&insns, Recorded::context(), &mut world));
                let program = &mut object.programs[nr];
                program.insns = insns;
                let name = &program.name;
                result.with_context(|| {
                    format!(
                        "program {name} stopped at question {}, {}",
                        all.questions,
                        describe(&question, header, begin)
                    )
                })? as i32
            }
        };
        object.maps.iter_mut().for_each(maps::Map::settle);

        let of_hook = &mut all.hooks[question.hook];
        of_hook.questions += 1;
        count(of_hook, answer);
        match expected.or(header.policy.is_some().then_some(0)) {
            Some(expected) if expected != answer => {
                all.differing += 1;
                if all.differing <= args.show {
                    writeln!(
                        all.shown,
                        "question {}, {}: {expected} recorded, {answer} now",
                        all.questions,
                        describe(&question, header, begin)
                    )?;
                }
            }
            Some(_) => of_hook.same += 1,
            None => {}
        }
    }
}

fn table(all: &Comparison, compared: bool) -> String {
    let mut table = Table::new();
    let mut titles = vec!["HOOK", "QUESTIONS", "NEGATIVE", "ZERO", "POSITIVE"];
    if compared {
        titles.push("AS RECORDED");
    }

    table.load_preset(presets::NOTHING).set_header(titles);
    for (hook, answers) in HOOKS.iter().zip(&all.hooks) {
        if answers.questions == 0 {
            continue;
        }
        let mut row = vec![
            hook.to_string(),
            answers.questions.to_string(),
            answers.negative.to_string(),
            answers.zero.to_string(),
            answers.positive.to_string(),
        ];
        if compared {
            row.push(answers.same.to_string());
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn report(args: &ReplayArgs, header: &Header, all: &Comparison) -> String {
    let (begin, end) = all.times.unwrap_or_default();
    let by = match &header.policy {
        None => "answered by no policy".to_string(),
        Some(policy) => format!(
            "answered by {} ({})",
            policy.name.escape_debug(),
            policy.file.escape_debug()
        ),
    };
    let mut text = format!(
        "{}: {} questions in {:.1} s on {} CPUs of {}, {by}, {} records lost\n\n{}\n\n",
        args.recording.display(),
        all.questions,
        end.saturating_sub(begin) as f64 / 1e9,
        header.cpus,
        header.release,
        all.lost,
        table(all, header.policy.is_some())
    );

    if all.lost > 0 {
        text.push_str(
            "what was lost is not in what the policy remembers: later answers may differ for it\n",
        );
    }
    if header.policy.is_some() {
        let _ = writeln!(text, "{} answers differ", all.differing);
        text.push_str(&all.shown);
    }
    text
}

/// Replays, compares, prints.
pub fn replay(args: &ReplayArgs) -> Result<ExitCode> {
    ensure!(
        cfg!(target_endian = "little"),
        "recordings are replayed on little-endian machines only"
    );
    let recording = args.recording.display();
    let header = Reader::open(&args.recording)
        .with_context(|| recording.to_string())?
        .header;
    kernel::require_policies()?;
    let btf = kernel::btf()?;
    let prepare = || {
        let mut opened = Opened::open(Source::File(&args.file))?;
        opened.set_all(&args.set)?;
        Replayed::prepare(opened, &btf, header.cpus)
    };
    let mut object = prepare().with_context(|| args.file.display().to_string())?;

    if HOOKS
        .iter()
        .all(|hook| !object.programs.iter().any(|p| p.hook == *hook))
    {
        bail!(
            "{}: it answers no hook that is recorded",
            args.file.display()
        );
    }
    let all = compare(args, &header, &btf, &mut object)?;
    print(&report(args, &header, &all))?;
    Ok(ExitCode::from(u8::from(all.differing > 0)))
}
