// SPDX-License-Identifier: GPL-2.0

//! Compiles the bundled policies and the programs that measure waits, and makes a table of
//! the policies: name, description, object.

use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories of bundled policies; the programs of the last one are not policies alone.
const DIRS: [&str; 3] = ["../policies", "../../tools/sched_bpf", "bpf"];

const FLAGS: [&str; 9] = [
    "-g",
    "-O2",
    "-Wall",
    "-Werror",
    "--target=bpf",
    "-mcpu=v3",
    "-Wno-missing-declarations",
    "-fms-extensions",
    "-Wno-microsoft-anon-tag",
];

/// Return the value of an environment variable that the Makefile sets.
fn from_env(name: &str) -> OsString {
    println!("cargo:rerun-if-env-changed={name}");
    env::var_os(name).unwrap_or_else(|| {
        panic!("{name} is not set: build with make in sched-bpf, or see its Makefile")
    })
}

fn include(dir: &Path) -> OsString {
    let mut flag = OsString::from("-I");
    flag.push(dir);
    flag
}

/// Return the first paragraph of the comment at the top of a source, as one line.
fn description(source: &str) -> String {
    let comment = source.split("/*\n").nth(1).unwrap_or_default();
    let words: Vec<&str> = comment
        .lines()
        .map(|line| line.trim_start_matches(" *").trim())
        .take_while(|line| !line.is_empty() && *line != "/")
        .collect();

    words.join(" ")
}

fn main() {
    let clang = from_env("CLANG");
    let vmlinux_h = PathBuf::from(from_env("VMLINUX_H"));
    let bpf_include = PathBuf::from(from_env("BPF_INCLUDE"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut sources = Vec::new();
    let mut table = String::from("&[\n");

    println!("cargo:rerun-if-changed={}", vmlinux_h.display());
    for dir in DIRS {
        println!("cargo:rerun-if-changed={dir}");
        let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{dir}: {e}"));
        sources.extend(entries.flatten().map(|entry| entry.path()));
    }
    sources.sort_by_key(|path| path.file_name().map(OsString::from));
    for source in sources {
        let file = source.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = file.strip_suffix(".bpf.c") else {
            continue;
        };
        let object = out.join(format!("{name}.bpf.o"));
        println!("cargo:rerun-if-changed={}", source.display());
        let status = Command::new(&clang)
            .args(FLAGS)
            .arg(include(vmlinux_h.parent().expect("VMLINUX_H is a file")))
            .arg(include(&bpf_include))
            .arg("-c")
            .arg(&source)
            .arg("-o")
            .arg(&object)
            .status()
            .unwrap_or_else(|e| panic!("{}: {e}", clang.to_string_lossy()));
        assert!(status.success(), "{}: not compiled", source.display());
        if name != "wait" {
            let text = fs::read_to_string(&source).expect("it was compiled");
            let object = format!("include_bytes!({object:?})");
            let _ = writeln!(
                table,
                "Bundled {{ name: {name:?}, description: {:?}, object: &Aligned(*{object}) }},",
                description(&text)
            );
        }
    }
    table.push(']');
    fs::write(out.join("bundled.rs"), table).expect("OUT_DIR");
}
