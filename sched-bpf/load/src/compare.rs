// SPDX-License-Identifier: GPL-2.0

//! Settings and policies compared by a load: each several times, in random order, with the
//! same requests at the same times for all in a round.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::child::Child;
use crate::cli::CompareArgs;
use crate::cpu;
use crate::interrupt;
use crate::policy;
use crate::results::{Measured, Results};
use crate::seen::Seen;
use crate::setting::{self, Setting};

/// Seeds of loads are small numbers, for people to type.
const SEEDS: u64 = 1_000_000;

/// Runs the load once under a setting.
fn measure(
    args: &CompareArgs,
    this: &Path,
    loader: &Path,
    setting: &Setting,
    seed: u64,
    rounds_per_s: u64,
) -> Result<Seen> {
    let mut command = setting.command(this, loader, args.load);
    command.args(["--seed", &seed.to_string()]);
    command.args(["--rounds-per-s", &rounds_per_s.to_string()]);
    command.args(["--seconds", &args.seconds.to_string()]);
    command.args(["--cpu", &args.cpu.to_string()]);

    let standing = setting.set(loader, &args.policies)?;
    let output = Child::spawn(args.load.name(), &mut command)?.output()?;
    standing.undo()?;
    Seen::parse(&output).context(args.load.name())
}

/// Compares, and writes what was found.
pub fn compare(args: &CompareArgs) -> Result<()> {
    interrupt::handle();
    let this = env::current_exe().context("path of this program")?;
    let loader = policy::loader(args.loader.as_deref(), &this)?;
    let settings = setting::settings(args);
    let mut rng = Rng::with_seed(args.seed);
    let mut results = Results::new(args.seed, args.seconds, &settings);
    let begin = Instant::now();

    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    // Measured once, and where the service runs, so that they are the same in all runs.
    cpu::pin(args.cpu)?;
    let rounds_per_s = cpu::rounds_per_s(None);
    cpu::pin(0)?;

    for round in 0..args.repeats {
        let seed = rng.u64(1..SEEDS);
        let mut order: Vec<usize> = (0..settings.len()).collect();
        rng.shuffle(&mut order);
        for (place, which) in order.into_iter().enumerate() {
            let setting = &settings[which];
            eprintln!(
                "round {} of {}, {} of {}: {}",
                round + 1,
                args.repeats,
                place + 1,
                settings.len(),
                setting.name
            );
            let seen = measure(args, &this, &loader, setting, seed, rounds_per_s)
                .with_context(|| setting.name.clone())?;
            results.add(which, Measured::new(round, place, seed, seen));
        }
    }

    let write = |extension: &str, text: &str| {
        let path = args.out.join(format!("{}.{extension}", args.load.name()));
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let table = results.markdown()?;
    write("csv", &results.csv()?)?;
    write("md", &table)?;
    print!("{table}");
    eprintln!("measured for {} s", begin.elapsed().as_secs());
    Ok(())
}
