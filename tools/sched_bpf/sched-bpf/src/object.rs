// SPDX-License-Identifier: GPL-2.0

//! BPF objects: the policies in them, and their options.

use std::ffi::{CStr, OsStr};
use std::path::Path;
use std::sync::Mutex;

use anyhow::{bail, ensure, Context, Result};
use libbpf_rs::btf::types::{DataSec, Int, IntEncoding, Struct, Var};
use libbpf_rs::btf::{Btf, BtfKind, BtfType, HasSize, ReferencesType, TypeId};
use libbpf_rs::libbpf_sys as sys;
use libbpf_rs::{
    set_print, AsRawLibbpf, MapCore, MapType, Object, ObjectBuilder, OpenObject, OpenProgramMut,
    PrintLevel, ProgramType,
};

use crate::cli::Setting;
use crate::table::{self, Layout, Loaded};
use crate::{kernel, refusal};

/// An object must be aligned as what it is made of.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static PROTECT: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/protect.bpf.o")));

static RECORD: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/record.bpf.o")));

static WAIT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/wait.bpf.o")));

/// The object of the policy that comes with sched-bpf.
pub fn protect() -> &'static [u8] {
    &PROTECT.0
}

/// The sections of global variables, which are the options of a policy.
const SECTIONS: [&str; 3] = [".rodata", ".data", ".bss"];

/// `SEC("sched/<hook>")`
const SEC_PREFIX: &str = "sched/";

/// What libbpf warned of since the last object was opened.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn show(_level: PrintLevel, message: String) {
    eprint!("{message}");
}

fn collect(_level: PrintLevel, message: String) {
    if let Ok(mut warnings) = WARNINGS.lock() {
        warnings.push(message);
    }
}

/// Shows what libbpf says, or keeps its first warning for an error.
pub fn set_verbose(verbose: bool) {
    set_print(Some(if verbose {
        (PrintLevel::Debug, show)
    } else {
        (PrintLevel::Warn, collect)
    }));
}

/// What is wrong, by what libbpf warned of. `answers` are programs and their hooks.
fn refused(answers: &[(String, String)]) -> anyhow::Error {
    let warnings = WARNINGS.lock().map(|all| all.clone()).unwrap_or_default();
    let (said, program) = refusal::reason(&warnings);
    let asked = program
        .and_then(|program| answers.iter().find(|(name, _)| *name == program))
        .and_then(|(_, hook)| refusal::prototype(&kernel::btf().ok()?, hook))
        .map(|prototype| format!("; it is asked {prototype}"))
        .unwrap_or_default();
    // Or all has been shown.
    let more = match warnings.is_empty() {
        true => "",
        false => " (-v shows more)",
    };

    anyhow::anyhow!("{said}{asked}{more}")
}

/// Where an object comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The policy of this program
    Protect,
    /// The programs that record questions
    Record,
    /// The programs that count waits
    Wait,
    /// A file
    File(&'a Path),
}

/// An object that is not loaded yet.
pub struct Opened(OpenObject);

/// A loaded object: its programs stay while a table has them.
pub struct Policies {
    /// Its tables
    pub tables: Vec<Loaded>,
    /// The programs that answer, each with its hook
    pub answers: Vec<(String, String)>,
    /// What they are in
    pub object: Object,
}

impl Opened {
    /// Opens it.
    pub fn open(source: Source) -> Result<Self> {
        if let Ok(mut warnings) = WARNINGS.lock() {
            warnings.clear();
        }
        let object = match source {
            Source::Protect => ObjectBuilder::default()
                .name("protect")
                .and_then(|builder| builder.open_memory(protect())),
            Source::Record => ObjectBuilder::default()
                .name("record")
                .and_then(|builder| builder.open_memory(&RECORD.0)),
            Source::Wait => ObjectBuilder::default()
                .name("wait")
                .and_then(|builder| builder.open_memory(&WAIT.0)),
            Source::File(path) => {
                ensure!(path.exists(), "no such file");
                ObjectBuilder::default().open_file(path)
            }
        };

        object
            .map(Self)
            .map_err(|_| refused(&[]).context("not a BPF object that libbpf can open"))
    }

    fn btf(&self) -> Result<Btf<'_>> {
        // SAFETY: the object lives as long as the borrow of `self`.
        let object = unsafe { self.0.as_libbpf_object().as_ref() };

        Btf::from_bpf_object(object)?.context("it has no BTF: compile it with -g")
    }

    /// Sets a global variable before the programs see it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let mut known = Vec::new();
        let mut found = None;
        {
            let btf = self.btf()?;
            for section in SECTIONS {
                for option in options_of(&btf, section) {
                    if option.name == name {
                        found = Some((section, option.offset, option.encode(value)?));
                    }
                    known.push(option.name);
                }
            }
        }
        known.sort();
        let Some((section, offset, bytes)) = found else {
            bail!(
                "no option of this name; there are: {}",
                if known.is_empty() {
                    "none".to_string()
                } else {
                    known.join(", ")
                }
            );
        };

        self.write(section, offset, &bytes)
    }

    fn write(&mut self, section: &str, offset: usize, bytes: &[u8]) -> Result<()> {
        self.0
            .maps_mut()
            .find(|map| map.name().to_string_lossy().ends_with(section))
            .context("section without a map")?
            .initial_value_mut()
            .and_then(|data| data.get_mut(offset..offset + bytes.len()))
            .context("section without a value")?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Sets the first bytes of a constant that is no number.
    pub fn set_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        const SECTION: &str = ".rodata";
        let offset = {
            let btf = self.btf()?;
            let section = btf
                .type_by_name::<DataSec>(SECTION)
                .context("no constants")?;
            let found = section.iter().find(|info| {
                let var = btf.type_by_id::<Var>(info.ty);
                var.is_some_and(|var| var.name() == Some(OsStr::new(name)))
            });
            found
                .with_context(|| format!("no constant '{name}'"))?
                .offset as usize
        };

        self.write(SECTION, offset, bytes)
    }

    fn program(&mut self, name: &str) -> Result<OpenProgramMut<'_>> {
        self.0
            .progs_mut()
            .find(|program| program.name() == name)
            .with_context(|| format!("no program '{name}'"))
    }

    /// Does not load a program.
    pub fn leave_out(&mut self, name: &str) -> Result<()> {
        self.program(name)?.set_autoload(false);
        Ok(())
    }

    /// Lets a program run where a function of a loaded program returns.
    pub fn watch(&mut self, name: &str, loaded: i32, function: &str) -> Result<()> {
        let function = Some(function.to_string());

        Ok(self.program(name)?.set_attach_target(loaded, function)?)
    }

    /// Sets what was asked for.
    pub fn set_all(&mut self, settings: &[Setting]) -> Result<()> {
        settings.iter().try_for_each(|setting| {
            self.set(&setting.name, &setting.value)
                .with_context(|| format!("--set {}={}", setting.name, setting.value))
        })
    }

    /// Its programs that answer, each with its hook.
    pub fn answers(&self) -> Vec<(String, String)> {
        let Ok(btf) = self.btf() else {
            return Vec::new();
        };
        let of_tables = self
            .0
            .maps()
            .filter(|map| map.map_type() == MapType::StructOps)
            .filter_map(|map| Own::of(map.as_libbpf_object().as_ptr(), &btf).ok())
            .flat_map(|own| own.programs)
            .map(|(hook, program)| {
                // SAFETY: a program of an object, whose name has its terminating zero.
                let name = unsafe { CStr::from_ptr(sys::bpf_program__name(program)) };
                (name.to_string_lossy().into_owned(), hook)
            });
        let of_sections = self.0.progs().filter_map(|program| {
            let hook = hook_of(program.section())?;
            Some((
                program.name().to_string_lossy().into_owned(),
                hook.to_string(),
            ))
        });

        of_tables.chain(of_sections).collect()
    }

    /// How many policies there are in it.
    pub fn nr_policies(&self) -> usize {
        let tables = self
            .0
            .maps()
            .filter(|map| map.map_type() == MapType::StructOps);
        let programs = self
            .0
            .progs()
            .filter(|program| hook_of(program.section()).is_some());

        tables.count() + programs.count()
    }

    /// Lets its maps be of this object alone, not those that are pinned. Returns the names of
    /// those that would be.
    pub fn unpin(&mut self) -> Result<Vec<String>> {
        let mut names = Vec::new();

        for map in self.0.maps_mut() {
            let raw = map.as_libbpf_object().as_ptr();
            // SAFETY: a map of an object that is not loaded; without a path it is not pinned.
            let err = unsafe {
                if sys::bpf_map__pin_path(raw).is_null() {
                    continue;
                }
                sys::bpf_map__set_pin_path(raw, std::ptr::null())
            };
            ensure!(err == 0, "a map cannot be unpinned");
            names.push(map.name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    /// Makes its maps, and its programs as they would be loaded.
    pub fn prepare(self) -> Result<OpenObject> {
        let answers = self.answers();

        // SAFETY: an object that is not loaded.
        match unsafe { sys::bpf_object__prepare(self.0.as_libbpf_object().as_ptr()) } {
            0 => Ok(self.0),
            _ => Err(refused(&answers)),
        }
    }

    /// Loads an object that is no policy.
    pub fn load_programs(self) -> Result<Object> {
        self.0.load().map_err(|_| refused(&[]))
    }

    /// Loads it and makes its tables. `name` is for an object of one policy.
    pub fn load(self, name: Option<&str>, shadow: bool) -> Result<Policies> {
        let layout = Layout::of_kernel()?;
        let answers = self.answers();
        let object = self.0.load().map_err(|_| refused(&answers))?;
        // SAFETY: the object lives as long as this function.
        let raw = unsafe { object.as_libbpf_object().as_ref() };
        // SAFETY: the BTF of a loaded object, which has it as its programs need it.
        let btf_fd = unsafe { sys::btf__fd(sys::bpf_object__btf(raw)) };
        let flags = if shadow {
            sched_bpf_counters::SHADOW
        } else {
            0
        };
        let btf = Btf::from_bpf_object(raw)?.context("it has no BTF: compile it with -g")?;
        let mut tables = Vec::new();

        for map in object.maps() {
            if map.map_type() != MapType::StructOps {
                continue;
            }
            let own = Own::of(map.as_libbpf_object().as_ptr(), &btf)
                .with_context(|| format!("table {}", map.name().to_string_lossy()))?;
            let mut table = layout.table(name.unwrap_or(&own.name), own.flags | flags)?;
            for (hook, program) in own.programs {
                // SAFETY: a program of a loaded object.
                table.answer(&hook, unsafe { sys::bpf_program__fd(program) })?;
            }
            tables.push(table.load(btf_fd)?);
        }
        for program in object.progs() {
            let Some(hook) = hook_of(program.section()) else {
                continue;
            };
            if program.prog_type() != ProgramType::StructOps {
                continue;
            }
            let own = program.name().to_string_lossy().into_owned();
            let mut table = layout.table(name.unwrap_or(&own), flags)?;
            let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&program));
            table.answer(hook, fd)?;
            tables.push(table.load(btf_fd)?);
        }

        ensure!(
            !tables.is_empty(),
            "no policy in it: neither a struct {} in SEC(\".struct_ops.link\") nor a program \
             in SEC(\"{SEC_PREFIX}<hook>\")",
            table::OPS
        );
        Ok(Policies {
            tables,
            answers,
            object,
        })
    }
}

/// A map of a loaded object.
pub fn map<'a>(object: &'a Object, name: &str) -> Result<libbpf_rs::Map<'a>> {
    object
        .maps()
        .find(|map| map.name() == name)
        .with_context(|| format!("no map '{name}'"))
}

/// The hook that a program of this section answers.
fn hook_of(section: &OsStr) -> Option<&str> {
    section.to_str()?.strip_prefix(SEC_PREFIX)
}

/// What an object says of a table, in the layout that it was compiled with.
struct Own {
    name: String,
    flags: u64,
    programs: Vec<(String, *const sys::bpf_program)>,
}

impl Own {
    fn of(map: *const sys::bpf_map, btf: &Btf) -> Result<Self> {
        // SAFETY: a map of an object.
        let (type_id, links) = unsafe {
            (
                sys::bpf_map__btf_value_type_id(map),
                sys::bpf_map__map_flags(map) & sys::BPF_F_LINK != 0,
            )
        };
        let ops = btf
            .type_by_id::<Struct>(TypeId::from(type_id))
            .filter(|ops| ops.name() == Some(OsStr::new(table::OPS)))
            .with_context(|| format!("not a struct {}", table::OPS))?;
        ensure!(links, "it has no link: put it in SEC(\".struct_ops.link\")");

        let mut size = 0;
        // SAFETY: a map of an object, whose initial value libbpf keeps.
        let data = unsafe {
            let start = sys::bpf_map__initial_value(map.cast_mut(), &mut size);
            ensure!(!start.is_null(), "it has no value");
            std::slice::from_raw_parts(start.cast::<u8>(), ops.size())
        };
        let bytes = |member: &str, len: usize| {
            let at = table::offset_of(&ops, member)?;
            data.get(at..at + len)
        };
        let number = |member: &str| {
            let bytes = bytes(member, 8)?.try_into().ok()?;
            Some(u64::from_ne_bytes(bytes))
        };

        let mut programs = Vec::new();
        for member in ops.iter() {
            let kind = btf
                .type_by_id::<BtfType>(member.ty)
                .map(|ty| ty.skip_mods_and_typedefs().kind());
            let (Some(hook), Some(BtfKind::Ptr)) = (member.name, kind) else {
                continue;
            };
            let hook = hook.to_string_lossy().into_owned();
            match number(&hook) {
                None | Some(0) => {}
                // libbpf keeps pointers to the programs of the object here.
                Some(pointer) => programs.push((hook, pointer as *const sys::bpf_program)),
            }
        }
        Ok(Self {
            name: bytes("name", 16)
                .and_then(|name| CStr::from_bytes_until_nul(name).ok())
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            flags: number("flags").unwrap_or_default(),
            programs,
        })
    }
}

/// A global variable that holds a number.
pub struct Variable {
    /// Its name
    pub name: String,
    offset: usize,
    size: usize,
    signed: bool,
}

impl Variable {
    /// Its value among those of the section.
    pub fn decode(&self, section: &[u8]) -> Option<i128> {
        let bytes = section.get(self.offset..self.offset + self.size)?;
        let mut all = [if self.signed && bytes.last()? & 0x80 != 0 {
            0xff
        } else {
            0
        }; 16];

        all[..self.size].copy_from_slice(bytes);
        Some(i128::from_le_bytes(all))
    }

    fn encode(&self, text: &str) -> Result<Vec<u8>> {
        let number = match text {
            "true" => 1,
            "false" => 0,
            _ => match text.strip_prefix("0x") {
                Some(hex) => i128::from_str_radix(hex, 16),
                None => text.parse(),
            }
            .ok()
            .with_context(|| format!("'{text}' is no number, true or false"))?,
        };
        let bits = 8 * self.size as u32;
        let (min, max) = if self.signed {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, (1i128 << bits) - 1)
        };

        ensure!(
            (min..=max).contains(&number),
            "{text} does not fit; {min} to {max} are accepted"
        );
        Ok(number.to_le_bytes()[..self.size].to_vec())
    }
}

/// The options in a section of global variables.
pub fn options_of(btf: &Btf, section: &str) -> Vec<Variable> {
    btf.type_by_name::<DataSec>(section)
        .map(|section| variables(btf, &section))
        .unwrap_or_default()
}

/// The variables in a section that hold a number.
pub fn variables(btf: &Btf, section: &DataSec) -> Vec<Variable> {
    section
        .iter()
        .filter_map(|info| {
            let var = btf.type_by_id::<Var>(info.ty)?;
            let ty = var.referenced_type().skip_mods_and_typedefs();
            let signed = match ty.kind() {
                BtfKind::Int => {
                    let int = Int::try_from(ty).ok()?;
                    matches!(int.encoding, IntEncoding::Signed)
                }
                BtfKind::Enum => false,
                _ => return None,
            };
            ([1, 2, 4, 8].contains(&info.size)).then(|| Variable {
                name: var
                    .name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                offset: info.offset as usize,
                size: info.size,
                signed,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(size: usize, signed: bool) -> Variable {
        Variable {
            name: "v".into(),
            offset: 0,
            size,
            signed,
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(variable(4, false).encode("0x10").unwrap(), [16, 0, 0, 0]);
        assert_eq!(variable(1, true).encode("-1").unwrap(), [0xff]);
        assert_eq!(variable(1, false).encode("true").unwrap(), [1]);
        assert_eq!(variable(2, true).decode(&[0xff, 0xff]), Some(-1));
        assert_eq!(variable(8, false).decode(&[0xff; 8]), Some((1 << 64) - 1));

        let error = |size, signed, text| {
            let error = variable(size, signed).encode(text).unwrap_err();
            error.to_string()
        };
        assert!(error(1, false, "256").contains("0 to 255"));
        assert!(error(1, true, "-129").contains("-128 to 127"));
        assert!(error(8, false, "x").contains("'x' is no number"));
    }

    #[test]
    fn options_of_protect() {
        let mut object = Opened::open(Source::Protect).unwrap();

        assert!(object.set("cap_ns", "5").is_ok());
        let error = object.set("cap", "5").unwrap_err().to_string();
        assert!(error.contains("cap_ns, mode, target"), "{error}");
    }
}
