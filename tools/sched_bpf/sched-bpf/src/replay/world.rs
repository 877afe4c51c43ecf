// SPDX-License-Identifier: GPL-2.0

//! What a program sees of the kernel: what was recorded with a question, and its maps.
//!
//! Kernel memory is at the addresses that it had, so that they tell tasks apart, as they do
//! in the kernel. What only exists here is at addresses that are none in a kernel: the upper
//! 16 bits say what it is.

use anyhow::{bail, ensure, Context, Result};
use libbpf_rs::btf::types::Func;
use libbpf_rs::btf::{Btf, TypeId};
use libbpf_rs::libbpf_sys as sys;
use nix::libc;

use super::maps::{Kind, Map};
use super::object::Replayed;
use super::vm::{World, STACK_SIZE};
use crate::fields;
use crate::recording::{Entity, Header, Question, HOOKS, MAX_CPUS, MAX_LEVELS};

/// As of relo_core.c and libbpf.c.
const CORE_POISON: u32 = 195_896_080;
const KFUNC_POISON: u32 = 2_002_000_000;

/// Where nothing is ever: the kernel reads zeros there, and fails to copy.
const NOTHING: u64 = 4096;

const TASK: &str = "task_struct";
const POLICY: &str = "bpf_sched_policy";

const SHIFT: u32 = 48;
const STACK: u64 = 1;
/// Arguments of the program.
const ARGS: u64 = 2;
/// `this`
const THIS: u64 = 3;
/// CPUs that the tasks of the question may run on.
const ALLOWED: u64 = 4;
/// Values of maps.
const VALUES: u64 = 0x10;
/// Maps, as helpers get them.
const MAPS: u64 = 0x4000;
/// The upper half of the address space begins no lower, however many levels page tables have.
const KERNEL: u64 = 0xff00;

const fn at(region: u64, offset: usize) -> u64 {
    (region << SHIFT) + offset as u64
}

/// What an argument of a hook is.
#[derive(Clone, Copy)]
enum Arg {
    Task(usize),
    Entity(usize),
    Number,
}

/// The arguments of the hooks, as bpf_sched_hooks.h has them, without `this`.
const ARGS_OF: [&[Arg]; HOOKS.len()] = [
    &[Arg::Task(0), Arg::Task(1), Arg::Number],
    &[Arg::Entity(0), Arg::Entity(1), Arg::Number],
    &[Arg::Entity(0), Arg::Number],
    &[Arg::Entity(0), Arg::Number],
    &[Arg::Task(0), Arg::Number, Arg::Number, Arg::Number],
    &[Arg::Task(0), Arg::Number, Arg::Number, Arg::Number],
];

/// The first hook that is about CPUs.
const PLACEMENT: usize = 4;

/// A recorded field, where this kernel has it.
struct Known {
    offset: usize,
    size: usize,
    at: usize,
}

/// Where things are in this kernel's structures, in which the program looks for them.
pub struct Layout<'a> {
    btf: &'a Btf<'a>,
    known: Vec<Known>,
    task_size: usize,
    se: usize,
    cpus_ptr: usize,
    id: usize,
    cgroup_id: usize,
}

impl<'a> Layout<'a> {
    fn is_function(&self, type_id: i32) -> bool {
        let function = self.btf.type_by_id::<Func>(TypeId::from(type_id as u32));

        function.is_some()
    }

    /// That of this kernel, for a recording of any.
    pub fn new(btf: &'a Btf<'a>, header: &Header) -> Result<Self> {
        let offset = |of, path| fields::find(btf, of, path).map(|span| span.offset);
        let mut known: Vec<Known> = header
            .fields
            .iter()
            .filter_map(|field| {
                let span = fields::find(btf, TASK, &field.path).ok()?;
                (span.size == field.size).then_some(Known {
                    offset: span.offset,
                    size: span.size,
                    at: field.at,
                })
            })
            .collect();
        known.sort_by_key(|known| (known.offset + known.size, known.offset));

        Ok(Self {
            btf,
            known,
            task_size: fields::size(btf, TASK)?,
            se: offset(TASK, "se")?,
            cpus_ptr: offset(TASK, "cpus_ptr")?,
            id: offset(POLICY, "id")?,
            cgroup_id: offset(POLICY, "cgroup_id")?,
        })
    }
}

/// The kernel, as of one question, and what the policy has made of earlier ones.
pub struct Recorded<'a> {
    layout: &'a Layout<'a>,
    header: &'a Header,
    object: &'a mut Replayed,
    question: &'a Question,
    args: Vec<u8>,
    stack: Vec<u8>,
    /// What is known of `this`, by where it is
    this: Vec<(usize, Vec<u8>)>,
    /// What `cpus_ptr` of the tasks is here
    masks: Vec<[u8; 8]>,
    allowed: Vec<[u8; 8]>,
}

fn number(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];

    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

impl<'a> Recorded<'a> {
    /// For one question.
    pub fn new(
        layout: &'a Layout<'a>,
        header: &'a Header,
        object: &'a mut Replayed,
        question: &'a Question,
    ) -> Result<Self> {
        let mut args: Vec<u64> = Vec::new();
        for (i, arg) in ARGS_OF[question.hook].iter().enumerate() {
            let task = |nr: usize| {
                let entity: Option<&Entity> = question.entities.get(nr);
                entity
                    .map(|e| e.task)
                    .context("a question without its task")
            };
            args.push(match *arg {
                Arg::Task(nr) => task(nr)?,
                Arg::Entity(nr) => task(nr)? + layout.se as u64,
                Arg::Number => question.args[i],
            });
        }
        args.push(at(THIS, 0));

        let mut this = vec![(layout.cgroup_id, header.cgroup_id.to_le_bytes().to_vec())];
        if let Some(policy) = &header.policy {
            this.push((layout.id, policy.id.to_le_bytes().to_vec()));
        }
        let masks = (0..question.entities.len())
            .map(|nr| at(ALLOWED + nr as u64, 0).to_le_bytes())
            .collect();

        Ok(Self {
            layout,
            header,
            object,
            question,
            args: args.into_iter().flat_map(u64::to_le_bytes).collect(),
            stack: vec![0; STACK_SIZE],
            this,
            masks,
            allowed: question
                .entities
                .iter()
                .map(|entity| entity.allowed.to_le_bytes())
                .collect(),
        })
    }

    /// The context that a program is called with.
    pub const fn context() -> u64 {
        at(ARGS, 0)
    }

    /// Bytes of a task, up to the end of the member that they are in.
    fn of_task(&self, nr: usize, offset: usize) -> Result<&[u8]> {
        let pointer = self.layout.cpus_ptr;
        if (pointer..pointer + 8).contains(&offset) {
            return Ok(&self.masks[nr][offset - pointer..]);
        }

        // By their ends: mostly the first, unless one that is there is inside another.
        let known = &self.layout.known;
        let first = known.partition_point(|known| known.offset + known.size <= offset);
        let Some(known) = known[first..].iter().find(|known| known.offset <= offset) else {
            let name = fields::name_at(self.layout.btf, TASK, offset);
            let path = name.split_once('.').map_or("", |(_, path)| path);
            bail!("it reads {name}, which was not recorded: record with --field {path}");
        };
        let image = &self.question.entities[nr].image;
        let begin = known.at + offset - known.offset;
        image
            .get(begin..known.at + known.size)
            .context("a task ends early in the recording")
    }

    fn of_kernel(&self, addr: u64) -> Result<&[u8]> {
        for (nr, entity) in self.question.entities.iter().enumerate() {
            let offset = addr.wrapping_sub(entity.task);
            if offset < self.layout.task_size as u64 {
                return self.of_task(nr, offset as usize);
            }
        }
        bail!(
            "it reads kernel memory at {addr:#x}, which was not recorded: only the tasks that a \
             question is about are"
        )
    }

    fn of_this(&self, offset: usize) -> Result<&[u8]> {
        for (begin, bytes) in &self.this {
            if let Some(rest) = offset.checked_sub(*begin).and_then(|at| bytes.get(at..)) {
                if !rest.is_empty() {
                    return Ok(rest);
                }
            }
        }
        bail!(
            "it reads {}, which was not recorded",
            fields::name_at(self.layout.btf, POLICY, offset)
        )
    }

    /// What is at an address, one byte at least, as far as it is one thing.
    fn there(&self, addr: u64) -> Result<&[u8]> {
        let offset = (addr & ((1 << SHIFT) - 1)) as usize;
        let found = match addr >> SHIFT {
            STACK => self.stack.get(offset..),
            ARGS => self.args.get(offset..),
            THIS => Some(self.of_this(offset)?),
            region @ ALLOWED..VALUES => {
                self.allowed(region << SHIFT)?;
                self.allowed[(region - ALLOWED) as usize].get(offset..)
            }
            region @ VALUES..MAPS => Some(self.map_of(region - VALUES)?.read(offset)?),
            KERNEL.. => Some(self.of_kernel(addr)?),
            _ => None,
        };

        found
            .filter(|bytes| !bytes.is_empty())
            .with_context(|| format!("it reads address {addr:#x}"))
    }

    fn bytes(&self, addr: u64, size: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(size);

        while bytes.len() < size {
            let more = self.there(addr.wrapping_add(bytes.len() as u64))?;
            bytes.extend(&more[..more.len().min(size - bytes.len())]);
        }
        Ok(bytes)
    }

    fn put(&mut self, addr: u64, bytes: &[u8]) -> Result<()> {
        let offset = (addr & ((1 << SHIFT) - 1)) as usize;
        let to = match addr >> SHIFT {
            STACK => self.stack.get_mut(offset..offset + bytes.len()),
            region @ VALUES..MAPS => {
                let map = self.object.maps.get_mut((region - VALUES) as usize);
                Some(map.context("no such map")?.write(offset, bytes.len())?)
            }
            _ => None,
        };

        to.with_context(|| format!("it writes to address {addr:#x}"))?
            .copy_from_slice(bytes);
        Ok(())
    }

    fn map_of(&self, nr: u64) -> Result<&Map> {
        self.object.maps.get(nr as usize).context("no such map")
    }

    /// The map that a helper is given.
    fn map_nr(&self, handle: u64) -> Result<usize> {
        let nr = (handle >> SHIFT)
            .checked_sub(MAPS)
            .context("a helper is given no map")?;

        self.map_of(nr)?.check()?;
        Ok(nr as usize)
    }

    fn key(&self, nr: usize, addr: u64) -> Result<Vec<u8>> {
        self.bytes(addr, self.object.maps[nr].key_size)
    }

    fn value(nr: usize, offset: Option<usize>) -> u64 {
        offset.map_or(0, |offset| at(VALUES + nr as u64, offset))
    }

    /// The task of the question at this address.
    fn task(&self, addr: u64) -> Result<&Entity> {
        let mut entities = self.question.entities.iter();

        entities
            .find(|entity| entity.task == addr)
            .context("it asks about a task that the question is not about")
    }

    fn entity(&self, addr: u64) -> Result<&Entity> {
        self.task(addr.wrapping_sub(self.layout.se as u64))
    }

    /// CPUs that a task may run on, by the address of its mask.
    fn allowed(&self, addr: u64) -> Result<u64> {
        ensure!(
            self.header.cpus <= MAX_CPUS,
            "it asks where a task may run; this was recorded of {MAX_CPUS} CPUs, and there are {}",
            self.header.cpus
        );
        let entity = (addr >> SHIFT)
            .checked_sub(ALLOWED)
            .and_then(|nr| self.question.entities.get(nr as usize));

        Ok(entity
            .context("it looks at a mask of CPUs of no task")?
            .allowed)
    }

    fn belongs(&self, entity: &Entity, id: u64) -> Result<u64> {
        let depth = entity.level as usize + 1;
        let known = &entity.cgroups[..depth.min(MAX_LEVELS)];

        ensure!(
            depth <= MAX_LEVELS || known.contains(&id),
            "a task is in a cgroup of level {}; {MAX_LEVELS} were recorded",
            entity.level
        );
        Ok(u64::from(known.contains(&id)))
    }

    fn is_idle(&self, cpu: u64) -> Result<u64> {
        let cpu = cpu as u32;

        ensure!(
            self.question.hook >= PLACEMENT,
            "it asks whether a CPU is idle, which was recorded of cfs_select_cpu and \
             cfs_can_migrate only"
        );
        if cpu >= self.header.cpus {
            return Ok(i64::from(-libc::EINVAL) as u64);
        }
        ensure!(
            cpu < MAX_CPUS,
            "it asks whether CPU {cpu} is idle, which was recorded of the first {MAX_CPUS}"
        );
        Ok((self.question.idle >> cpu) & 1)
    }

    fn task_storage(&mut self, args: [u64; 5]) -> Result<u64> {
        let nr = self.map_nr(args[0])?;
        ensure!(
            self.object.maps[nr].kind == Kind::TaskStorage,
            "no task storage"
        );
        if args[1] == 0 {
            return Ok(0);
        }
        // The address may be another task's later.
        let task = self.task(args[1])?;
        let key = [task.task, task.tgidpid].map(u64::to_ne_bytes).concat();
        let found = self.object.maps[nr].find(&key, 0)?;
        if found.is_some() || args[3] & u64::from(sys::BPF_LOCAL_STORAGE_GET_F_CREATE) == 0 {
            return Ok(Self::value(nr, found));
        }
        let initial = match args[2] {
            0 => Vec::new(),
            addr => self.bytes(addr, self.object.maps[nr].value_size)?,
        };
        let new = self.object.maps[nr].insert(&key, 0)?;
        let addr = Self::value(nr, new);
        self.put(addr, &initial)?;
        Ok(addr)
    }

    fn probe_read(&mut self, args: [u64; 5], string: bool) -> Result<u64> {
        let [to, size, from, ..] = args;
        let mut bytes = Vec::new();

        if from < NOTHING {
            self.put(to, &vec![0; size as usize])?;
            return Ok(i64::from(-libc::EFAULT) as u64);
        }

        for i in 0..size {
            let byte = self.there(from.wrapping_add(i))?[0];
            bytes.push(byte);
            if string && byte == 0 {
                break;
            }
        }
        if string {
            if let Some(last) = bytes.last_mut() {
                *last = 0;
            }
        }
        self.put(to, &bytes)?;
        Ok(if string { bytes.len() as u64 } else { 0 })
    }
}

impl World for Recorded<'_> {
    fn stack(&self) -> u64 {
        at(STACK, 0)
    }

    fn read(&mut self, addr: u64, size: usize) -> Result<u64> {
        if addr < NOTHING {
            return Ok(0);
        }
        let there = self.there(addr)?;

        Ok(match there.get(..size) {
            Some(bytes) => number(bytes),
            None => number(&self.bytes(addr, size)?),
        })
    }

    fn write(&mut self, addr: u64, size: usize, value: u64) -> Result<()> {
        self.put(addr, &value.to_le_bytes()[..size])
    }

    fn constant(&mut self, kind: u8, low: i32, high: i32) -> Result<u64> {
        let map = || {
            let nr = self.object.by_fd.get(&low).copied();
            nr.context("a descriptor of no map")
        };

        match u32::from(kind) {
            sys::BPF_PSEUDO_MAP_FD => Ok(at(MAPS + map()? as u64, 0)),
            sys::BPF_PSEUDO_MAP_VALUE => Ok(at(VALUES + map()? as u64, high as usize)),
            // Of a function only whether it is there is looked at.
            sys::BPF_PSEUDO_BTF_ID if self.layout.is_function(low) => Ok(1),
            sys::BPF_PSEUDO_BTF_ID => bail!("it has the address of a variable of the kernel"),
            sys::BPF_PSEUDO_FUNC => bail!("it has the address of a function"),
            kind => bail!("a constant of kind {kind} is not known"),
        }
    }

    fn helper(&mut self, id: u32, args: [u64; 5]) -> Result<u64> {
        let cpu = self.question.cpu;

        Ok(match id {
            sys::BPF_FUNC_map_lookup_elem => {
                let nr = self.map_nr(args[0])?;
                let key = self.key(nr, args[1])?;
                Self::value(nr, self.object.maps[nr].find(&key, cpu)?)
            }
            sys::BPF_FUNC_map_update_elem => {
                let nr = self.map_nr(args[0])?;
                let key = self.key(nr, args[1])?;
                let value = self.bytes(args[2], self.object.maps[nr].value_size)?;
                self.object.maps[nr].update(&key, cpu, &value, args[3])? as u64
            }
            sys::BPF_FUNC_map_delete_elem => {
                let nr = self.map_nr(args[0])?;
                let key = self.key(nr, args[1])?;
                self.object.maps[nr].delete(&key)? as u64
            }
            sys::BPF_FUNC_task_storage_get => self.task_storage(args)?,
            sys::BPF_FUNC_ktime_get_ns => self.question.time,
            sys::BPF_FUNC_get_smp_processor_id => u64::from(cpu),
            sys::BPF_FUNC_get_current_pid_tgid => self.question.current_tgidpid,
            sys::BPF_FUNC_get_current_task | sys::BPF_FUNC_get_current_task_btf => {
                self.question.current
            }
            sys::BPF_FUNC_probe_read_kernel => self.probe_read(args, false)?,
            sys::BPF_FUNC_probe_read_kernel_str => self.probe_read(args, true)?,
            // Nobody else runs, and nobody listens.
            sys::BPF_FUNC_spin_lock
            | sys::BPF_FUNC_spin_unlock
            | sys::BPF_FUNC_ringbuf_output
            | sys::BPF_FUNC_trace_printk
            | sys::BPF_FUNC_trace_vprintk => 0,
            sys::BPF_FUNC_get_prandom_u32 => {
                bail!("it calls bpf_get_prandom_u32(): what that returned was not recorded")
            }
            // What libbpf makes of a member or a function that is not there.
            CORE_POISON | KFUNC_POISON.. => {
                bail!("it needs a member or a function that this kernel does not have")
            }
            _ => bail!("it calls helper {id} (BPF_FUNC_*): what that did was not recorded"),
        })
    }

    fn kfunc(&mut self, id: i32, args: [u64; 5]) -> Result<u64> {
        let name =
            self.object.kfuncs.get(&id).with_context(|| {
                format!("it calls function {id} of the kernel, which is not known")
            })?;

        Ok(match name.as_str() {
            "bpf_sched_entity_lag" => self.entity(args[0])?.lag as u64,
            "bpf_sched_entity_eligible" => i64::from(self.entity(args[0])?.eligible) as u64,
            "bpf_sched_entity_nr_runnable" => u64::from(self.entity(args[0])?.nr_runnable),
            "bpf_sched_entity_to_tgidpid" => self.entity(args[0])?.tgidpid,
            "bpf_sched_entity_belongs_to_cgrp" => self.belongs(self.entity(args[0])?, args[1])?,
            // All that are asked about are tasks.
            "bpf_sched_entity_to_cgrpid" => {
                self.entity(args[0])?;
                u64::MAX
            }
            "bpf_sched_cpu_is_idle" => self.is_idle(args[0])?,
            "bpf_cpumask_test_cpu" => {
                let allowed = self.allowed(args[1])?;
                allowed.checked_shr(args[0] as u32).unwrap_or(0) & 1
            }
            "bpf_cpumask_weight" => u64::from(self.allowed(args[0])?.count_ones()),
            "bpf_cpumask_first" => u64::from(self.allowed(args[0])?.trailing_zeros()),
            "bpf_rdonly_cast" => args[0],
            "bpf_rcu_read_lock" | "bpf_rcu_read_unlock" => 0,
            name => bail!("it calls {name}(): what that returned was not recorded"),
        })
    }
}
