// SPDX-License-Identifier: GPL-2.0

//! The kernel's `struct bpf_sched_ops`, filled in for it.
//!
//! libbpf fills in tables itself, but only attaches them with what an object says: no
//! flags without a cgroup, and no flags of the table for a `SEC("sched/...")` program.

use std::ffi::{CString, OsStr};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use libbpf_rs::btf::types::{MemberAttr, Ptr, Struct};
use libbpf_rs::btf::{Btf, HasSize};
use libbpf_rs::libbpf_sys as sys;
use nix::libc;
use sched_bpf_counters::SHADOW;

use crate::{kernel, refusal};

/// The table that policies fill.
pub const OPS: &str = "bpf_sched_ops";

/// What the kernel has around it.
const VALUE: &str = "bpf_struct_ops_bpf_sched_ops";

/// Bytes of a name, its terminating zero included.
const NAME_LEN: usize = 16;

/// Where a member of a structure is, in bytes.
pub fn offset_of(of: &Struct, member: &str) -> Option<usize> {
    of.iter()
        .find(|m| m.name == Some(OsStr::new(member)))
        .and_then(|m| match m.attr {
            MemberAttr::Normal { offset } => Some(offset as usize / 8),
            MemberAttr::BitField { .. } => None,
        })
}

/// How the running kernel lays out its table.
pub struct Layout {
    btf: Btf<'static>,
    /// Number of the type of the value in a map
    type_id: u32,
    size: usize,
    /// Where in it the table is
    data: usize,
}

impl Layout {
    /// That of the running kernel.
    pub fn of_kernel() -> Result<Self> {
        let btf = kernel::btf()?;
        let value = btf
            .type_by_name::<Struct>(VALUE)
            .with_context(|| format!("this kernel has no struct {VALUE}"))?;
        let (type_id, size) = (value.type_id().into(), value.size());
        let data = offset_of(&value, "data").context("struct without data")?;

        Ok(Self {
            btf,
            type_id,
            size,
            data,
        })
    }

    fn offset(&self, member: &str) -> Option<usize> {
        let ops = self.btf.type_by_name::<Struct>(OPS)?;

        Some(self.data + offset_of(&ops, member)?)
    }

    /// Names of the hooks that it has.
    fn hooks(&self) -> Vec<String> {
        let Some(ops) = self.btf.type_by_name::<Struct>(OPS) else {
            return Vec::new();
        };

        ops.iter()
            .filter(|member| self.btf.type_by_id::<Ptr>(member.ty).is_some())
            .filter_map(|member| Some(member.name?.to_string_lossy().into_owned()))
            .collect()
    }

    /// An empty table.
    pub fn table(&self, name: &str, flags: u64) -> Result<Table<'_>> {
        let mut table = Table {
            layout: self,
            name: short(name),
            flags,
            answers: false,
            value: vec![0; self.size],
        };
        let name = table.name.clone();

        table.set("name", name.as_bytes())?;
        table.set("flags", &flags.to_ne_bytes())?;
        Ok(table)
    }
}

/// As much of a name as the kernel takes.
fn short(name: &str) -> String {
    name.chars().take(NAME_LEN - 1).collect()
}

/// A table in the making.
pub struct Table<'a> {
    layout: &'a Layout,
    /// Name of the policy
    pub name: String,
    flags: u64,
    answers: bool,
    value: Vec<u8>,
}

/// A table that the kernel has, to be attached.
pub struct Loaded {
    /// Name of the policy
    pub name: String,
    map: OwnedFd,
}

impl AsFd for Loaded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl Table<'_> {
    fn set(&mut self, member: &str, bytes: &[u8]) -> Result<()> {
        let at = self
            .layout
            .offset(member)
            .with_context(|| format!("the kernel's struct {OPS} has no member '{member}'"))?;

        self.value
            .get_mut(at..at + bytes.len())
            .context("member outside its struct")?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Lets a loaded program answer a hook.
    pub fn answer(&mut self, hook: &str, program: i32) -> Result<()> {
        self.answers = true;
        self.set(hook, &i64::from(program).to_ne_bytes())
    }

    fn why_refused(&self, errno: i32, what: &str) -> anyhow::Error {
        let hooks = self.layout.hooks();
        let why = (errno == libc::EINVAL)
            .then(|| refusal::of_table(&self.name, self.flags, SHADOW, self.answers, &hooks))
            .flatten();

        match why {
            Some(why) => anyhow::anyhow!("{what}: {why}"),
            None => {
                anyhow::Error::new(io::Error::from_raw_os_error(errno)).context(what.to_string())
            }
        }
    }

    /// Gives the table to the kernel. `btf` is that of the object of its programs.
    pub fn load(self, btf: i32) -> Result<Loaded> {
        let opts = sys::bpf_map_create_opts {
            sz: mem::size_of::<sys::bpf_map_create_opts>() as u64,
            btf_fd: btf as u32,
            btf_vmlinux_value_type_id: self.layout.type_id,
            map_flags: sys::BPF_F_LINK,
            ..Default::default()
        };
        let name = CString::new(self.name.clone()).context("name")?;
        // SAFETY: `name` has its terminating zero, and `opts` is read only now.
        let fd = unsafe {
            sys::bpf_map_create(
                sys::BPF_MAP_TYPE_STRUCT_OPS,
                name.as_ptr(),
                mem::size_of::<u32>() as u32,
                self.value.len() as u32,
                1,
                &opts,
            )
        };
        if fd < 0 {
            return Err(self.why_refused(-fd, "the table cannot be made"));
        }
        // SAFETY: a new descriptor, which is nobody else's.
        let map = unsafe { OwnedFd::from_raw_fd(fd) };

        let key = 0u32;
        // SAFETY: key and value are as large as the map was made for.
        let err = unsafe {
            sys::bpf_map_update_elem(
                map.as_raw_fd(),
                (&raw const key).cast(),
                self.value.as_ptr().cast(),
                0,
            )
        };
        if err != 0 {
            return Err(self.why_refused(-err, "the kernel refuses the table"));
        }
        Ok(Loaded {
            name: self.name,
            map,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_table() {
        assert_eq!(short("a_name_that_is_too_long"), "a_name_that_is_");
        assert_eq!(short("protect"), "protect");
    }
}
