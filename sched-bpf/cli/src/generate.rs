// SPDX-License-Identifier: GPL-2.0

//! Man pages and completions, made from the definition of the command line, and the bundled
//! policies as files, which other loaders take too.

use std::fs;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{generate_to, Shell};
use sched_bpf_core::bundled::BUNDLED;

use crate::args::{Cli, GenerateArgs};

/// Write them.
pub fn generate(args: &GenerateArgs) -> Result<()> {
    let write = || -> Result<()> {
        let man = args.dir.join("man");
        fs::create_dir_all(&man)?;
        clap_mangen::generate_to(Cli::command(), &man)?;

        for (shell, dir) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
            let dir = args.dir.join("completions").join(dir);
            fs::create_dir_all(&dir)?;
            generate_to(shell, &mut Cli::command(), "sched-bpf", &dir)?;
        }

        let policies = args.dir.join("policies");
        fs::create_dir_all(&policies)?;
        for bundled in BUNDLED {
            let path = policies.join(bundled.name).with_extension("bpf.o");
            fs::write(path, bundled.object())?;
        }
        Ok(())
    };

    write().with_context(|| args.dir.display().to_string())
}
