// SPDX-License-Identifier: GPL-2.0

//! BPF objects: the policies in them, and their options.

use std::ffi::{c_char, CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{ensure, Context, Result};
use libbpf_rs::btf::types::{DataSec, Int, IntEncoding, Struct, Var};
use libbpf_rs::btf::{Btf, BtfKind, BtfType, HasSize, ReferencesType, TypeId};
use libbpf_rs::libbpf_sys as sys;
use libbpf_rs::{
    set_print, AsRawLibbpf, MapCore, MapType, Object, ObjectBuilder, OpenObject, PrintLevel,
    ProgramType,
};

use crate::bundled::{self, Bundled};
use crate::ops::{self, Layout, Loaded};
use crate::{kernel, refusal};

/// The sections of global variables, which are the options of a policy.
const SECTIONS: [&str; 3] = [".rodata", ".data", ".bss"];

/// `SEC("sched/<hook>")`
const SEC_PREFIX: &str = "sched/";

/// Bytes for what the verifier says of a program.
const LOG_SIZE: usize = 1 << 20;

/// Warnings of libbpf since the last object was opened.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn show(_level: PrintLevel, message: String) {
    eprint!("{message}");
}

fn collect(_level: PrintLevel, message: String) {
    if let Ok(mut warnings) = WARNINGS.lock() {
        warnings.push(message);
    }
}

/// Show what libbpf and the verifier say, or keep the first warning for an error.
pub fn set_verbose(verbose: bool) {
    set_print(Some(if verbose { (PrintLevel::Debug, show) } else { (PrintLevel::Warn, collect) }));
}

/// Explain a refusal. `hooks` are programs and their hooks, `logs` what the verifier said.
fn refused(hooks: &[(String, String)], logs: &[(String, Vec<u8>)]) -> anyhow::Error {
    let warnings = WARNINGS.lock().map(|all| all.clone()).unwrap_or_default();
    let log = logs.iter().find_map(|(program, log)| {
        let log = CStr::from_bytes_until_nul(log).ok()?.to_string_lossy();
        (!log.trim().is_empty()).then(|| (program.as_str(), log.into_owned()))
    });
    let (said, program) = refusal::reason(&warnings, log.as_ref().map(|(p, l)| (*p, l.as_str())));
    let prototype = program
        .and_then(|program| hooks.iter().find(|(name, _)| *name == program))
        .and_then(|(_, hook)| refusal::prototype(&kernel::btf().ok()?, hook))
        .map(|prototype| format!("; the hook is {prototype}"))
        .unwrap_or_default();

    anyhow::anyhow!("{said}{prototype} (-v shows more)")
}

/// Where an object comes from.
#[derive(Clone)]
pub enum Source {
    /// This library
    Bundled(&'static Bundled),
    /// A file
    File(PathBuf),
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Source {
    /// Find an object: a file if `text` looks like a path or exists, else a bundled policy.
    pub fn find(text: &Path) -> Result<Self> {
        let is_path = text.components().count() > 1 || text.extension().is_some();

        if is_path || text.is_file() {
            ensure!(text.exists(), "{}: no such file", text.display());
            return Ok(Self::File(text.to_path_buf()));
        }
        let found = text.to_str().and_then(bundled::find);
        let names: Vec<_> = bundled::BUNDLED.iter().map(|b| b.name).collect();

        found.map(Self::Bundled).with_context(|| {
            format!(
                "{}: no such file, nor a bundled policy; there are {}",
                text.display(),
                names.join(", ")
            )
        })
    }

    /// The policy that protects a target.
    pub fn protect() -> Result<Self> {
        Self::find(Path::new(bundled::PROTECT))
    }

    /// Return its name or path.
    pub fn name(&self) -> String {
        match self {
            Self::Bundled(bundled) => bundled.name.to_string(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Return true if it is the policy that protects a target.
    pub fn is_protect(&self) -> bool {
        matches!(self, Self::Bundled(bundled) if bundled.name == bundled::PROTECT)
    }
}

/// A value for an option of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Name of a global variable
    pub name: String,
    /// Its value
    pub value: String,
}

/// An object that is not loaded yet.
pub struct Opened(OpenObject);

/// A loaded object.
pub struct Policies {
    /// Its policies
    pub ops: Vec<Loaded>,
    /// It keeps maps with names, which programs outside use.
    _object: Object,
}

/// A policy in an object, as `inspect` shows it.
#[derive(Debug, PartialEq)]
pub struct Content {
    /// Its name
    pub name: String,
    /// The hooks that it has
    pub hooks: Vec<String>,
}

fn name_of(program: *const sys::bpf_program) -> String {
    // SAFETY: a program of an object, whose name has its terminating zero.
    let name = unsafe { CStr::from_ptr(sys::bpf_program__name(program)) };
    name.to_string_lossy().into_owned()
}

impl Opened {
    /// Open an object.
    pub fn open(source: &Source) -> Result<Self> {
        match source {
            Source::Bundled(bundled) => Self::open_memory(bundled.name, bundled.object()),
            Source::File(path) => {
                ensure!(path.exists(), "no such file");
                Self::checked(ObjectBuilder::default().open_file(path))
            }
        }
    }

    pub(crate) fn open_memory(name: &str, object: &[u8]) -> Result<Self> {
        Self::checked(
            ObjectBuilder::default().name(name).and_then(|builder| builder.open_memory(object)),
        )
    }

    fn checked(object: libbpf_rs::Result<OpenObject>) -> Result<Self> {
        let opened = object.map(Self);
        let error = opened.map_err(|_| refused(&[], &[]).context("not a BPF object"));

        if let Ok(mut warnings) = WARNINGS.lock() {
            warnings.clear();
        }
        error
    }

    fn btf(&self) -> Result<Btf<'_>> {
        // SAFETY: the object lives as long as the borrow of `self`.
        let object = unsafe { self.0.as_libbpf_object().as_ref() };

        Btf::from_bpf_object(object)?.context("it has no BTF: compile it with -g")
    }

    /// Return the names of its options with their values.
    pub fn options(&self) -> Result<Vec<(String, i128)>> {
        let btf = self.btf()?;
        let mut all = Vec::new();

        for section in SECTIONS {
            let map = self.0.maps().find(|map| map.name().to_string_lossy().ends_with(section));
            let Some(data) = map.as_ref().and_then(|map| map.initial_value()) else {
                continue;
            };
            let known = options_of(&btf, section).into_iter();
            all.extend(known.filter_map(|o| Some((o.name.clone(), o.decode(data)?))));
        }
        all.sort();
        Ok(all)
    }

    /// Set an option before the programs see it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let mut found = None;
        let mut known = Vec::new();
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
        let (section, offset, bytes) = found.with_context(|| match known.is_empty() {
            true => "it has no options".to_string(),
            false => format!("no such option; there are {}", known.join(", ")),
        })?;

        self.0
            .maps_mut()
            .find(|map| map.name().to_string_lossy().ends_with(section))
            .context("section without a map")?
            .initial_value_mut()
            .and_then(|data| data.get_mut(offset..offset + bytes.len()))
            .context("section without a value")?
            .copy_from_slice(&bytes);
        Ok(())
    }

    /// Set several options.
    pub fn set_all(&mut self, settings: &[Setting]) -> Result<()> {
        settings.iter().try_for_each(|setting| {
            self.set(&setting.name, &setting.value)
                .with_context(|| format!("--set {}={}", setting.name, setting.value))
        })
    }

    /// Return its ops, in the order of the object.
    fn own(&self) -> Result<Vec<Own>> {
        let btf = self.btf()?;
        let of_maps = self.0.maps().filter(|map| map.map_type() == MapType::StructOps).map(|map| {
            Own::of(map.as_libbpf_object().as_ptr(), &btf)
                .with_context(|| format!("ops {}", map.name().to_string_lossy()))
        });
        let of_programs = self.0.progs().filter_map(|program| {
            let hook = program.section().to_str()?.strip_prefix(SEC_PREFIX)?;
            let name = program.name().to_string_lossy().into_owned();
            Some(Ok(Own { name: name.clone(), flags: 0, hooks: vec![(hook.to_string(), name)] }))
        });

        of_maps.chain(of_programs).collect()
    }

    /// Return its policies.
    pub fn contents(&self) -> Result<Vec<Content>> {
        let content = |own: Own| Content {
            name: own.name,
            hooks: own.hooks.into_iter().map(|(hook, _)| hook).collect(),
        };

        Ok(self.own()?.into_iter().map(content).collect())
    }

    /// Load the programs of an object that is no policy.
    pub(crate) fn load_programs(self) -> Result<Object> {
        self.0.load().map_err(|_| refused(&[], &[]))
    }

    /// Load it. `name` replaces that of a single policy.
    pub fn load(mut self, name: Option<&str>, shadow: bool) -> Result<Policies> {
        let layout = Layout::of_kernel()?;
        let all = self.own()?;
        let hooks: Vec<_> = all
            .iter()
            .flat_map(|own| own.hooks.iter())
            .map(|(hook, program)| (program.clone(), hook.clone()))
            .collect();
        let mut logs = Vec::new();
        for program in self.0.progs_mut() {
            let mut log = vec![0u8; LOG_SIZE];
            let raw = program.as_libbpf_object().as_ptr();
            // SAFETY: the buffer lives in `logs` until the object was loaded.
            unsafe {
                sys::bpf_program__set_log_buf(
                    raw,
                    log.as_mut_ptr().cast::<c_char>(),
                    log.len() as u64,
                )
            };
            logs.push((program.name().to_string_lossy().into_owned(), log));
        }
        let object = self.0.load().map_err(|_| refused(&hooks, &logs))?;
        // SAFETY: the object, which lives as long as this function, has no use for the buffers
        // any more, and a loaded one has its BTF as its programs need it.
        let btf_fd = unsafe {
            for program in object.progs_mut() {
                let raw = program.as_libbpf_object().as_ptr();
                sys::bpf_program__set_log_buf(raw, std::ptr::null_mut(), 0);
            }
            sys::btf__fd(sys::bpf_object__btf(object.as_libbpf_object().as_ref()))
        };
        let flags = if shadow { ops::SHADOW } else { 0 };
        let mut loaded = Vec::new();

        for own in all {
            let mut ops = layout.ops(name.unwrap_or(&own.name), own.flags | flags)?;
            for (hook, program) in &own.hooks {
                let program = object
                    .progs()
                    .filter(|p| p.prog_type() == ProgramType::StructOps)
                    .find(|p| p.name() == OsStr::new(program))
                    .with_context(|| format!("no program '{program}'"))?;
                ops.hook(hook, program.as_fd().as_raw_fd())?;
            }
            loaded.push(ops.load(btf_fd).with_context(|| format!("policy {}", own.name))?);
        }
        ensure!(
            !loaded.is_empty(),
            "no policy in it: neither a struct {} in SEC(\".struct_ops.link\") nor a program in \
             SEC(\"{SEC_PREFIX}<hook>\")",
            kernel::OPS
        );
        Ok(Policies { ops: loaded, _object: object })
    }
}

/// Ops in an object, in the layout that it was compiled with.
struct Own {
    name: String,
    flags: u64,
    /// Hooks with the names of their programs
    hooks: Vec<(String, String)>,
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
        let of = btf
            .type_by_id::<Struct>(TypeId::from(type_id))
            .filter(|of| of.name() == Some(OsStr::new(kernel::OPS)))
            .with_context(|| format!("not a struct {}", kernel::OPS))?;
        ensure!(links, "it has no link: put it in SEC(\".struct_ops.link\")");

        let mut size = 0;
        // SAFETY: a map of an object, whose initial value libbpf keeps.
        let data = unsafe {
            let start = sys::bpf_map__initial_value(map.cast_mut(), &mut size);
            ensure!(!start.is_null(), "it has no value");
            std::slice::from_raw_parts(start.cast::<u8>(), of.size())
        };
        let bytes = |member: &str, len: usize| {
            let at = ops::offset_of(&of, member)?;
            data.get(at..at + len)
        };
        let number = |member: &str| {
            let bytes = bytes(member, 8)?.try_into().ok()?;
            Some(u64::from_ne_bytes(bytes))
        };

        let mut hooks = Vec::new();
        for member in of.iter() {
            let kind =
                btf.type_by_id::<BtfType>(member.ty).map(|ty| ty.skip_mods_and_typedefs().kind());
            let (Some(hook), Some(BtfKind::Ptr)) = (member.name, kind) else {
                continue;
            };
            let hook = hook.to_string_lossy().into_owned();
            match number(&hook) {
                None | Some(0) => {}
                // libbpf keeps pointers to the programs of the object here.
                Some(pointer) => hooks.push((hook, name_of(pointer as *const sys::bpf_program))),
            }
        }
        Ok(Self {
            name: bytes("name", 16)
                .and_then(|name| CStr::from_bytes_until_nul(name).ok())
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            flags: number("flags").unwrap_or_default(),
            hooks,
        })
    }
}

/// Find a map of a loaded object.
pub(crate) fn map<'a>(object: &'a Object, name: &str) -> Result<libbpf_rs::Map<'a>> {
    object.maps().find(|map| map.name() == name).with_context(|| format!("no map '{name}'"))
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
        let mut all = [if self.signed && bytes.last()? & 0x80 != 0 { 0xff } else { 0 }; 16];

        all[..self.size].copy_from_slice(bytes);
        Some(i128::from_le_bytes(all))
    }

    /// Return true if it is in nanoseconds, by its name.
    fn is_time(&self) -> bool {
        self.name.ends_with("_ns")
    }

    /// Parse a time with its unit, in nanoseconds.
    fn time(&self, text: &str) -> Option<i128> {
        let time = humantime::parse_duration(text).ok()?;

        self.is_time().then_some(time.as_nanos() as i128)
    }

    fn encode(&self, text: &str) -> Result<Vec<u8>> {
        let number = match text {
            "true" => 1,
            "false" => 0,
            _ => match text.strip_prefix("0x") {
                Some(hex) => i128::from_str_radix(hex, 16).ok(),
                None => text.parse().ok().or_else(|| self.time(text)),
            }
            .with_context(|| match self.is_time() {
                true => format!("'{text}' is not a number or a time, such as 500us or 20ms"),
                false => format!("'{text}' is not a number, true or false"),
            })?,
        };
        let bits = 8 * self.size as u32;
        let (min, max) = if self.signed {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, (1i128 << bits) - 1)
        };

        ensure!((min..=max).contains(&number), "{text} does not fit; {min} to {max} are accepted");
        Ok(number.to_le_bytes()[..self.size].to_vec())
    }
}

/// The options in a section of global variables.
pub fn options_of(btf: &Btf, section: &str) -> Vec<Variable> {
    btf.type_by_name::<DataSec>(section).map(|section| variables(btf, &section)).unwrap_or_default()
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
        Variable { name: "v".into(), offset: 0, size, signed }
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
        assert!(error(8, false, "x").contains("'x' is not a number"));
    }

    #[test]
    fn times_have_units() {
        let cap = Variable { name: "cap_ns".into(), ..variable(8, false) };

        assert_eq!(cap.encode("20ms").unwrap(), 20_000_000u64.to_le_bytes());
        assert_eq!(cap.encode("500us").unwrap(), 500_000u64.to_le_bytes());
        assert!(cap.encode("5x").unwrap_err().to_string().contains("500us"));
        assert!(variable(8, false).encode("20ms").is_err());
    }

    #[test]
    fn protect_has_options_and_hooks() {
        let mut object = Opened::open(&Source::protect().unwrap()).unwrap();

        assert!(object.set("cap_ns", "5").is_ok());
        assert!(object.options().unwrap().contains(&("cap_ns".into(), 5)));
        let error = object.set("cap", "5").unwrap_err().to_string();
        assert!(error.contains("cap_ns, mode, target"), "{error}");
        let contents = object.contents().unwrap();
        assert_eq!(contents[0].name, "protect");
        assert_eq!(contents[0].hooks.len(), 3);
    }

    #[test]
    fn bundled_policies_have_descriptions() {
        for bundled in bundled::BUNDLED {
            let opened = Opened::open(&Source::Bundled(bundled)).unwrap();
            assert!(bundled.description.ends_with(['.', ':']), "{}", bundled.name);
            assert!(!opened.contents().unwrap().is_empty(), "{}", bundled.name);
        }
        let error = Source::find(Path::new("protct")).unwrap_err().to_string();
        assert!(error.contains("there are announced, batch"), "{error}");
        assert!(Source::find(Path::new("./x.bpf.o")).is_err());
    }
}
