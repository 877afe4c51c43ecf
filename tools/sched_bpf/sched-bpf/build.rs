// SPDX-License-Identifier: GPL-2.0

//! Compiles the BPF policy and makes its skeleton.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use libbpf_cargo::SkeletonBuilder;

const SOURCE: &str = "src/bpf/protect.bpf.c";

const FLAGS: [&str; 8] = [
    "-g",
    "-O2",
    "-Wall",
    "-Werror",
    "-mcpu=v3",
    "-Wno-missing-declarations",
    "-fms-extensions",
    "-Wno-microsoft-anon-tag",
];

/// The path in an environment variable, which is set by the Makefile.
fn path_from_env(name: &str) -> PathBuf {
    println!("cargo:rerun-if-env-changed={name}");
    let value = env::var_os(name).unwrap_or_else(|| {
        panic!("{name} is not set: build with make in tools/sched_bpf, or see its Makefile")
    });
    PathBuf::from(value)
}

fn include(dir: &Path) -> OsString {
    let mut flag = OsString::from("-I");
    flag.push(dir);
    flag
}

fn main() {
    let vmlinux_h = path_from_env("VMLINUX_H");
    let bpf_include = path_from_env("BPF_INCLUDE");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));

    let mut args: Vec<OsString> = FLAGS.iter().map(OsString::from).collect();
    args.push(include(vmlinux_h.parent().expect("VMLINUX_H is a file")));
    args.push(include(&bpf_include));

    println!("cargo:rerun-if-env-changed=CLANG");
    SkeletonBuilder::new()
        .source(SOURCE)
        .clang(env::var_os("CLANG").unwrap_or_else(|| "clang".into()))
        .clang_args(args)
        .build_and_generate(out.join("protect.skel.rs"))
        .unwrap_or_else(|e| panic!("{SOURCE}: {e:#}"));

    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-changed={}", vmlinux_h.display());
}
