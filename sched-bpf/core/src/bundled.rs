// SPDX-License-Identifier: GPL-2.0

//! The policies that are part of this library.

/// An object, aligned as its contents need.
#[repr(C, align(8))]
pub struct Aligned<T: ?Sized>(T);

/// A bundled policy.
pub struct Bundled {
    /// Its name
    pub name: &'static str,
    /// What it does
    pub description: &'static str,
    object: &'static Aligned<[u8]>,
}

impl Bundled {
    /// The BPF object.
    pub fn object(&self) -> &'static [u8] {
        &self.object.0
    }
}

/// All bundled policies, by name.
pub static BUNDLED: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The policy that protects a target, which is the default where there is one.
pub const PROTECT: &str = "protect";

static WAIT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/wait.bpf.o")));

/// The object of the programs that measure waits.
pub(crate) fn wait() -> &'static [u8] {
    &WAIT.0
}

/// Find a bundled policy.
pub fn find(name: &str) -> Option<&'static Bundled> {
    BUNDLED.iter().find(|bundled| bundled.name == name)
}
