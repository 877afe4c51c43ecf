// SPDX-License-Identifier: GPL-2.0

//! Links, which keep policies attached.

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use anyhow::{Context, Result};
use libbpf_rs::libbpf_sys as sys;

use crate::state::{self, Policy};

/// A place among the policies of a cgroup.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// `BPF_F_PREORDER`, `BPF_F_BEFORE`, `BPF_F_AFTER`
    pub flags: u32,
    /// The id of the link that it is put before or after
    pub relative: Option<u32>,
}

/// A link of any type. Closing it detaches the policy unless it is pinned.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// Convert what libbpf returns: a descriptor, or a negative errno.
pub(crate) fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: a new descriptor, which has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn done(err: i32) -> io::Result<()> {
    match err {
        0 => Ok(()),
        err => Err(io::Error::from_raw_os_error(-err)),
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

impl Link {
    /// Attach the ops `map` to a cgroup.
    pub fn create(map: BorrowedFd, cgroup: BorrowedFd, place: &Place) -> io::Result<Self> {
        let mut opts = sys::bpf_link_create_opts {
            sz: mem::size_of::<sys::bpf_link_create_opts>() as u64,
            flags: place.flags,
            ..Default::default()
        };
        if let Some(id) = place.relative {
            opts.flags |= sys::BPF_F_LINK | sys::BPF_F_ID;
            opts.__bindgen_anon_1.cgroup.relative_id = id;
        }
        let (map, cgroup) = (map.as_raw_fd(), cgroup.as_raw_fd());

        // SAFETY: both descriptors are open, and `opts` is read only now.
        owned(unsafe { sys::bpf_link_create(map, cgroup, sys::BPF_STRUCT_OPS, &opts) }).map(Self)
    }

    /// Open a pinned link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = c_path(path)?;

        // SAFETY: a string with its terminating zero.
        let link = owned(unsafe { sys::bpf_obj_get(path.as_ptr()) }).map(Self)?;
        // Maps and programs can be pinned too.
        if !link.fdinfo()?.contains("link_type:") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(link)
    }

    /// Open the link of an id.
    pub fn by_id(id: u32) -> io::Result<Self> {
        // SAFETY: takes a number.
        owned(unsafe { sys::bpf_link_get_fd_by_id(id) }).map(Self)
    }

    /// Return the ids of all links of the system.
    pub fn ids() -> io::Result<Vec<u32>> {
        let (mut id, mut all) = (0, Vec::new());

        loop {
            let mut next = 0;
            // SAFETY: `next` is written now.
            match done(unsafe { sys::bpf_link_get_next_id(id, &mut next) }) {
                Ok(()) => all.push(next),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(all),
                Err(e) => return Err(e),
            }
            id = next;
        }
    }

    fn fdinfo(&self) -> io::Result<String> {
        fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd()))
    }

    /// Replace the ops by those of `map`; the place is kept.
    pub fn update(&self, map: BorrowedFd) -> io::Result<()> {
        // SAFETY: both descriptors are open; no options are given.
        done(unsafe { sys::bpf_link_update(self.0.as_raw_fd(), map.as_raw_fd(), ptr::null()) })
    }

    /// Pin it, so that it outlives this process.
    pub fn pin(&self, path: &Path) -> io::Result<()> {
        let path = c_path(path)?;

        // SAFETY: an open descriptor, and a string with its terminating zero.
        done(unsafe { sys::bpf_obj_pin(self.0.as_raw_fd(), path.as_ptr()) })
    }

    /// Detach the policy, also if others hold the link.
    pub fn detach(&self) -> io::Result<()> {
        // SAFETY: an open descriptor.
        done(unsafe { sys::bpf_link_detach(self.0.as_raw_fd()) })
    }

    /// Return its id and its policy, as the kernel shows them now. No policy: it is detached,
    /// or of another type.
    pub fn policy(&self) -> Result<(u32, Option<Policy>)> {
        state::parse_link(&self.fdinfo()?).context("fdinfo of the link")
    }

    /// Return true if it is of the type that policies have.
    pub fn is_struct_ops(&self) -> io::Result<bool> {
        let text = self.fdinfo()?;

        Ok(text.lines().any(|line| line.split_whitespace().eq(["link_type:", "struct_ops"])))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Return the ids of the ops of a cgroup in the order in which they are called.
pub fn order(cgroup: BorrowedFd) -> io::Result<Vec<u32>> {
    let mut ids = vec![0; 64];
    let mut opts = sys::bpf_prog_query_opts {
        sz: mem::size_of::<sys::bpf_prog_query_opts>() as u64,
        prog_ids: ids.as_mut_ptr(),
        ..Default::default()
    };
    opts.__bindgen_anon_1.prog_cnt = ids.len() as u32;

    // SAFETY: `ids` has room for as many ids as `opts` says.
    done(unsafe { sys::bpf_prog_query_opts(cgroup.as_raw_fd(), sys::BPF_STRUCT_OPS, &mut opts) })?;
    // SAFETY: the member that the kernel writes.
    ids.truncate(unsafe { opts.__bindgen_anon_1.prog_cnt } as usize);
    Ok(ids)
}
