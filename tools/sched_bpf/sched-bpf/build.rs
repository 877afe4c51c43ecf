// SPDX-License-Identifier: GPL-2.0

//! Compiles the BPF policy, what records questions, and what counts waits.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const NAMES: [&str; 3] = ["protect", "record", "wait"];

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

/// The value of an environment variable, which is set by the Makefile.
fn from_env(name: &str) -> OsString {
    println!("cargo:rerun-if-env-changed={name}");
    env::var_os(name).unwrap_or_else(|| {
        panic!("{name} is not set: build with make in tools/sched_bpf, or see its Makefile")
    })
}

fn include(dir: &Path) -> OsString {
    let mut flag = OsString::from("-I");
    flag.push(dir);
    flag
}

fn main() {
    let clang = from_env("CLANG");
    let vmlinux_h = PathBuf::from(from_env("VMLINUX_H"));
    let bpf_include = PathBuf::from(from_env("BPF_INCLUDE"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));

    println!("cargo:rerun-if-changed={}", vmlinux_h.display());
    for name in NAMES {
        let source = format!("src/bpf/{name}.bpf.c");
        println!("cargo:rerun-if-changed={source}");
        let status = Command::new(&clang)
            .args(FLAGS)
            .arg(include(vmlinux_h.parent().expect("VMLINUX_H is a file")))
            .arg(include(&bpf_include))
            .args(["-c", &source, "-o"])
            .arg(out.join(format!("{name}.bpf.o")))
            .status()
            .unwrap_or_else(|e| panic!("{}: {e}", clang.to_string_lossy()));
        assert!(status.success(), "{source}: not compiled ({status})");
    }
}
