// SPDX-License-Identifier: GPL-2.0

//! The kernel's `struct bpf_sched_ops`, filled in from loaded programs.
//!
//! libbpf fills in ops of `SEC(".struct_ops.link")` itself, but those of `SEC("sched/...")`
//! programs have no flags, and it writes them only when it attaches them. Here both kinds
//! become a map that can be checked, attached and swapped in by a link update.

use std::ffi::{CString, OsStr};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use libbpf_rs::btf::types::{MemberAttr, Ptr, Struct};
use libbpf_rs::btf::{Btf, HasSize};
use libbpf_rs::libbpf_sys as sys;

use crate::kernel::{self, OPS};
use crate::link::{done, owned};

/// The value of its map.
const VALUE: &str = "bpf_struct_ops_bpf_sched_ops";

/// `BPF_SCHED_F_SHADOW`: called and counted, never applied.
pub const SHADOW: u64 = 1;

/// Bytes of a name, with its terminating zero.
const NAME_LEN: usize = 16;

/// Return where a member is, in bytes.
pub fn offset_of(of: &Struct, member: &str) -> Option<usize> {
    of.iter().find(|m| m.name == Some(OsStr::new(member))).and_then(|m| match m.attr {
        MemberAttr::Normal { offset } => Some(offset as usize / 8),
        MemberAttr::BitField { .. } => None,
    })
}

/// The layout that the running kernel has.
pub struct Layout {
    btf: Btf<'static>,
    /// Id of the type of the map's value
    type_id: u32,
    size: usize,
    /// Offset of the ops in the value
    data: usize,
}

impl Layout {
    /// Read it.
    pub fn of_kernel() -> Result<Self> {
        let btf = kernel::btf()?;
        let value = btf
            .type_by_name::<Struct>(VALUE)
            .with_context(|| format!("this kernel has no struct {VALUE}"))?;
        let (type_id, size) = (value.type_id().into(), value.size());
        let data = offset_of(&value, "data").context("struct without data")?;

        Ok(Self { btf, type_id, size, data })
    }

    fn offset(&self, member: &str) -> Option<usize> {
        let ops = self.btf.type_by_name::<Struct>(OPS)?;

        Some(self.data + offset_of(&ops, member)?)
    }

    /// Return the names of the hooks.
    pub fn hooks(&self) -> Vec<String> {
        let Some(ops) = self.btf.type_by_name::<Struct>(OPS) else {
            return Vec::new();
        };

        ops.iter()
            .filter(|member| self.btf.type_by_id::<Ptr>(member.ty).is_some())
            .filter_map(|member| Some(member.name?.to_string_lossy().into_owned()))
            .collect()
    }

    /// Return the id of the first program in the value of a map.
    pub fn program_in(&self, value: &[u8]) -> Option<u32> {
        self.hooks().iter().find_map(|hook| {
            let at = self.offset(hook)?;
            let id = u64::from_ne_bytes(value.get(at..at + 8)?.try_into().ok()?);
            (id != 0).then_some(id as u32)
        })
    }

    /// Make empty ops.
    pub fn ops(&self, name: &str, flags: u64) -> Result<Ops<'_>> {
        let mut ops = Ops {
            layout: self,
            name: name.chars().take(NAME_LEN - 1).collect(),
            value: vec![0; self.size],
        };
        let name = ops.name.clone();

        ops.set("name", name.as_bytes())?;
        ops.set("flags", &flags.to_ne_bytes())?;
        Ok(ops)
    }
}

/// Ops that the kernel does not have yet.
pub struct Ops<'a> {
    layout: &'a Layout,
    name: String,
    value: Vec<u8>,
}

/// Ops in a map of the kernel, ready to be attached.
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

impl Ops<'_> {
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

    /// Set the program of a hook.
    pub fn hook(&mut self, hook: &str, program: i32) -> Result<()> {
        self.set(hook, &i64::from(program).to_ne_bytes())
    }

    /// Give the ops to the kernel. `btf` is that of the object of the programs.
    pub fn load(self, btf: i32) -> Result<Loaded> {
        let opts = sys::bpf_map_create_opts {
            sz: mem::size_of::<sys::bpf_map_create_opts>() as u64,
            btf_fd: btf as u32,
            btf_vmlinux_value_type_id: self.layout.type_id,
            map_flags: sys::BPF_F_LINK,
            ..Default::default()
        };
        let name = CString::new(self.name.clone()).context("name")?;
        let (kind, size) = (sys::BPF_MAP_TYPE_STRUCT_OPS, self.value.len() as u32);
        // SAFETY: `name` has its terminating zero, and `opts` is read only now.
        let fd = unsafe { sys::bpf_map_create(kind, name.as_ptr(), 4, size, 1, &opts) };
        let map = owned(fd).context("the map of the ops cannot be made")?;
        let (key, value) = (0u32, self.value.as_ptr());

        // SAFETY: key and value are as large as the map was made for.
        done(unsafe {
            sys::bpf_map_update_elem(map.as_raw_fd(), (&raw const key).cast(), value.cast(), 0)
        })
        .context(
            "the kernel refuses the ops: a .name of up to 15 letters, digits, '_' and '.', known \
                  .flags and a hook are needed",
        )?;
        Ok(Loaded { name: self.name, map })
    }
}
