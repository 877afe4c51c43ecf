// SPDX-License-Identifier: GPL-2.0

//! Loads and attaches the BPF policy.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use anyhow::{Context, Result};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{set_print, Link, PrintLevel};

use crate::kernel;
use crate::target::Target;

/// What libbpf-cargo generates.
#[allow(
    missing_docs,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    unsafe_op_in_unsafe_fn
)]
mod skeleton {
    include!(concat!(env!("OUT_DIR"), "/protect.skel.rs"));
}

use skeleton::ProtectSkelBuilder;

/// Name of the map that is the policy's table.
pub const TABLE: &str = "protect";

const NS_PER_MS: u64 = 1_000_000;

fn print(_level: PrintLevel, message: String) {
    eprint!("{message}");
}

/// Shows what libbpf says, or not.
pub fn set_verbose(verbose: bool) {
    set_print(verbose.then_some((PrintLevel::Debug, print)));
}

/// An attached policy; detached when this is dropped, unless it is pinned.
pub struct Policy {
    /// What keeps it attached
    pub link: Link,
    /// Number of the link
    pub link_id: u32,
    /// Name that the kernel shows
    pub name: &'static str,
}

/// Attaches the policy for `target`. Its tasks keep a CPU for `cap_ms` at most.
pub fn attach(target: Target, cap_ms: u64) -> Result<Policy> {
    kernel::require_policies()?;

    let name = target.policy_name();
    let link = load_and_attach(target, cap_ms).with_context(|| format!("policy {name}"))?;
    let link_id = link.info().context("information on the link")?.id;

    Ok(Policy {
        link,
        link_id,
        name,
    })
}

fn load_and_attach(target: Target, cap_ms: u64) -> Result<Link> {
    let mut object = MaybeUninit::uninit();
    let mut open = ProtectSkelBuilder::default().open(&mut object)?;

    let config = open
        .maps
        .rodata_data
        .as_deref_mut()
        .context("the program has no .rodata")?;
    config.mode = target.mode();
    config.target = target.id();
    config.cap_ns = cap_ms * NS_PER_MS;

    let table = open.struct_ops.protect_mut();
    set_name(&mut table.name, target.policy_name());

    let mut skel = open
        .load()
        .context("the kernel did not load it (-v shows why)")?;

    skel.maps
        .protect
        .attach_struct_ops()
        .context("the kernel did not attach it (-v shows why)")
}

/// Writes a name, which leaves room for the terminating zero.
fn set_name(field: &mut [c_char], name: &str) {
    field.fill(0);
    for (to, from) in field.iter_mut().zip(name.bytes()) {
        *to = from as c_char;
    }
}
