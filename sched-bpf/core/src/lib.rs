// SPDX-License-Identifier: GPL-2.0

//! A library for BPF policies of the fair scheduling class: it opens and loads objects,
//! attaches them to cgroups and reads their state and counters. It prints nothing.

pub mod attach;
pub mod bundled;
pub mod cgroup;
pub mod kernel;
pub mod link;
pub mod object;
mod ops;
pub mod pins;
mod refusal;
pub mod snapshot;
pub mod state;
pub mod target;
pub mod waits;
