// SPDX-License-Identifier: GPL-2.0

//! What is replayed of an object: programs as the kernel would get them, and maps.

use std::collections::HashMap;
use std::ffi::CStr;
use std::slice;

use anyhow::{ensure, Context, Result};
use libbpf_rs::btf::types::Func;
use libbpf_rs::btf::{Btf, TypeId};
use libbpf_rs::libbpf_sys as sys;
use libbpf_rs::{AsRawLibbpf, MapType, ProgramType};

use super::maps::{Kind, Map};
use super::vm::Insn;
use crate::object::Opened;

/// A program, and the hook that it answers.
pub struct Program {
    /// Its name
    pub name: String,
    /// Its hook
    pub hook: String,
    /// What it does
    pub insns: Vec<Insn>,
}

/// An object, ready to be interpreted.
pub struct Replayed {
    /// Its programs
    pub programs: Vec<Program>,
    /// Its maps
    pub maps: Vec<Map>,
    /// Which of them instructions mean by a descriptor
    pub by_fd: HashMap<i32, usize>,
    /// Functions of the kernel that it calls, by what instructions have for them
    pub kfuncs: HashMap<i32, String>,
}

fn insn(raw: &sys::bpf_insn) -> Insn {
    Insn {
        code: raw.code,
        dst: raw.dst_reg(),
        src: raw.src_reg(),
        off: raw.off,
        imm: raw.imm,
    }
}

fn kind(map_type: MapType, internal: bool, flags: u32) -> Kind {
    let read_only = flags & sys::BPF_F_RDONLY_PROG != 0;

    match map_type {
        // Each CPU has a share of its entries, and drops what it does not use.
        MapType::LruHash | MapType::LruPercpuHash if flags & sys::BPF_F_NO_COMMON_LRU != 0 => {
            Kind::Other(map_type.into())
        }
        MapType::Array if internal => Kind::Data { read_only },
        MapType::Array | MapType::PercpuArray => Kind::Array,
        MapType::Hash | MapType::PercpuHash => Kind::Hash { drops: false },
        MapType::LruHash | MapType::LruPercpuHash => Kind::Hash { drops: true },
        MapType::TaskStorage => Kind::TaskStorage,
        other => Kind::Other(other.into()),
    }
}

/// How many values an entry has.
fn width(map_type: MapType, cpus: u32) -> usize {
    match map_type {
        MapType::PercpuArray | MapType::PercpuHash | MapType::LruPercpuHash => cpus as usize,
        _ => 1,
    }
}

/// A map of a prepared object, and its descriptor.
fn map(raw: *mut sys::bpf_map, cpus: u32) -> (i32, Map) {
    let mut size = 0;
    // SAFETY: a map of an object that is prepared; its strings and its value stay as long as
    // that does, and are copied.
    unsafe {
        let name = CStr::from_ptr(sys::bpf_map__name(raw));
        let name = name.to_string_lossy().into_owned();
        let internal = sys::bpf_map__is_internal(raw);
        let flags = sys::bpf_map__map_flags(raw);
        let value = sys::bpf_map__initial_value(raw, &mut size);
        let value = (internal && !value.is_null())
            .then(|| slice::from_raw_parts(value.cast::<u8>(), size as usize).to_vec());
        let map_type = MapType::from(sys::bpf_map__type(raw));
        let mut map = Map::new(
            name,
            kind(map_type, internal, flags),
            (
                sys::bpf_map__key_size(raw) as usize,
                sys::bpf_map__value_size(raw) as usize,
                sys::bpf_map__max_entries(raw) as usize,
            ),
            width(map_type, cpus),
            value,
        );

        map.shared = !internal && flags & sys::BPF_F_MMAPABLE != 0;
        (sys::bpf_map__fd(raw), map.drop_for(cpus as usize))
    }
}

impl Replayed {
    /// What is in an object. `btf`: the types of the kernel.
    pub fn prepare(mut opened: Opened, btf: &Btf, cpus: u32) -> Result<Self> {
        let answers = opened.answers();
        let policies = opened.nr_policies();
        ensure!(
            policies <= 1,
            "{policies} policies in it; one can be replayed"
        );
        let pinned = opened.unpin()?;
        let object = opened.prepare()?;

        if let Some(other) = object
            .progs()
            .find(|program| program.autoload() && program.prog_type() != ProgramType::StructOps)
        {
            anyhow::bail!(
                "program {} in SEC(\"{}\") answers no hook: when it ran was not recorded",
                other.name().to_string_lossy(),
                other.section().to_string_lossy()
            );
        }
        let programs: Vec<Program> = answers
            .into_iter()
            .map(|(name, hook)| {
                let program = object.progs().find(|program| *program.name() == *name);
                let insns = program
                    .with_context(|| format!("no program '{name}'"))?
                    .insns();
                Ok(Program {
                    insns: insns.iter().map(insn).collect(),
                    name,
                    hook,
                })
            })
            .collect::<Result<_>>()?;
        ensure!(!programs.is_empty(), "no policy in it");

        let mut maps = Vec::new();
        let mut by_fd = HashMap::new();
        for raw in object.maps() {
            let (fd, mut map) = map(raw.as_libbpf_object().as_ptr(), cpus);
            map.shared |= pinned.contains(&map.name);
            by_fd.insert(fd, maps.len());
            maps.push(map);
        }

        let kfuncs = programs
            .iter()
            .flat_map(|program| &program.insns)
            .filter(|insn| insn.code == 0x85 && insn.src == 2)
            .filter_map(|insn| {
                let function = btf.type_by_id::<Func>(TypeId::from(insn.imm as u32))?;
                Some((insn.imm, function.name()?.to_string_lossy().into_owned()))
            })
            .collect();
        Ok(Self {
            programs,
            maps,
            by_fd,
            kfuncs,
        })
    }
}
