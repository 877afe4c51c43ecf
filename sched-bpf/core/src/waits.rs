// SPDX-License-Identifier: GPL-2.0

//! Waits of tasks for a CPU, measured by wait.bpf.c.

use anyhow::{ensure, Context, Result};
use libbpf_rs::{Link, MapCore, MapFlags, Object};
use sched_bpf_statistics::Run;

use crate::bundled;
use crate::object::{map, Opened};

/// As in wait.bpf.c.
const SUB_BITS: u32 = 5;
const BUCKETS: usize = (40 - SUB_BITS as usize + 1) << SUB_BITS;

/// How much larger the upper end of a bucket may be than its lower end, as a logarithm.
pub const RESOLUTION: f64 = 1.0 / (1 << SUB_BITS) as f64;

/// The programs that count, for as long as this is there.
pub struct Waits {
    object: Object,
    _links: Vec<Link>,
}

/// What they have counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Waits from a wakeup on
    pub wakeups: u64,
    /// Their sum in nanoseconds
    pub wakeup_ns: u64,
    /// The sum of all waits in nanoseconds, also of those who were preempted
    pub wait_ns: u64,
    buckets: Vec<u64>,
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> u64 {
    let sub = 1 << SUB_BITS;

    if bucket < 2 * sub {
        return bucket as u64;
    }
    let shift = bucket / sub - 1;
    let low = ((bucket - shift * sub) as u64) << shift;
    low + (1 << shift) / 2
}

impl Waits {
    /// Begins to count those of a cgroup and all below it, by its id, or of all tasks (0).
    pub fn attach(cgroup: u64) -> Result<Self> {
        let attach = || -> Result<Self> {
            let mut opened = Opened::open_memory("wait", bundled::wait())?;
            opened.set("cgroup_id", &cgroup.to_string())?;
            let object = opened.load_programs()?;
            let links = object
                .progs_mut()
                .map(|program| program.attach().context("tracepoint"))
                .collect::<Result<_>>()?;

            Ok(Self { object, _links: links })
        };

        attach().context("the programs that count waits cannot be attached")
    }

    /// What has been counted.
    pub fn read(&self) -> Result<Counted> {
        let of_cpus = map(&self.object, "waits")?
            .lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)?
            .context("the map 'waits' is empty")?;

        Counted::sum(&of_cpus)
    }
}

impl Counted {
    /// The sum of what CPUs have counted, each a `struct waits`.
    fn sum(of_cpus: &[Vec<u8>]) -> Result<Self> {
        let mut sum = vec![0u64; 3 + BUCKETS];

        for cpu in of_cpus {
            ensure!(
                cpu.len() == 8 * sum.len(),
                "waits of {} bytes, expected {}",
                cpu.len(),
                8 * sum.len()
            );
            for (sum, bytes) in sum.iter_mut().zip(cpu.chunks_exact(8)) {
                *sum += u64::from_ne_bytes(bytes.try_into()?);
            }
        }
        Ok(Self { wakeups: sum[0], wakeup_ns: sum[1], wait_ns: sum[2], buckets: sum.split_off(3) })
    }

    /// What has been counted since `before`.
    pub fn since(&self, before: &Self) -> Self {
        // Read while CPUs count: a sum may be a wait ahead of its number.
        Self {
            wakeups: self.wakeups.saturating_sub(before.wakeups),
            wakeup_ns: self.wakeup_ns.saturating_sub(before.wakeup_ns),
            wait_ns: self.wait_ns.saturating_sub(before.wait_ns),
            buckets: self
                .buckets
                .iter()
                .zip(&before.buckets)
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
        }
    }

    /// Waits from a wakeup on as a run.
    pub fn run(&self) -> Result<Run> {
        let counts = self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| (middle(bucket), *count));

        Run::of_counts(counts, self.wakeup_ns as f64)
    }
}

impl Counted {
    /// Make one of so many waits of these lengths, for tests.
    pub fn of_waits(waits: &[(u64, u64)]) -> Self {
        let mut counted = Self { wakeups: 0, wakeup_ns: 0, wait_ns: 0, buckets: vec![0; BUCKETS] };
        for (ns, count) in waits {
            counted.wakeups += count;
            counted.wakeup_ns += ns * count;
            counted.wait_ns += ns * count;
            counted.buckets[bucket(*ns)] += count;
        }
        counted
    }
}

/// Return the bucket of a wait, as in wait.bpf.c.
fn bucket(ns: u64) -> usize {
    let mut shift = 0;
    while ns >> shift >= 2 << SUB_BITS {
        shift += 1;
    }
    (shift << SUB_BITS) + (ns >> shift) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_as_narrow_as_said() {
        for ns in [0, 1, 63, 64, 65, 1000, 123_456_789, (1 << 40) - 1] {
            let found = middle(bucket(ns)) as f64;
            let error = (found - ns as f64).abs();
            assert!(error <= ns as f64 * RESOLUTION / 2.0, "{ns} {found}");
        }
        assert_eq!(bucket((1 << 40) - 1), BUCKETS - 1);
    }

    #[test]
    fn of_cpus() {
        let of_cpu = |wakeups: u64, bucket: usize| {
            let mut all = vec![0u64; 3 + BUCKETS];
            (all[0], all[1], all[2]) = (wakeups, 10 * wakeups, 20 * wakeups);
            all[3 + bucket] = wakeups;
            all.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<_>>()
        };
        let before = Counted::sum(&[of_cpu(1, 10), of_cpu(0, 0)]).unwrap();
        let after = Counted::sum(&[of_cpu(3, 10), of_cpu(4, 12)]).unwrap();
        let delta = after.since(&before);

        assert_eq!((delta.wakeups, delta.wakeup_ns, delta.wait_ns), (6, 60, 120));
        assert_eq!(delta.run().unwrap().len(), 6);
        assert!(Counted::sum(&[vec![0; 8]]).is_err());
    }
}
