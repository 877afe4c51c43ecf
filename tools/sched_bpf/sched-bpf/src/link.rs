// SPDX-License-Identifier: GPL-2.0

//! Links of policies: what keeps them attached.

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

/// Where a policy stands among others.
#[derive(Debug, Default)]
pub struct Place {
    /// `BPF_F_PREORDER`, `BPF_F_BEFORE`, `BPF_F_AFTER`
    pub flags: u32,
    /// Number of the link that it is put before or after
    pub relative: Option<u32>,
}

/// What keeps a policy attached: dropped, it detaches, unless it is pinned.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// What the kernel tells of a link.
pub struct Info {
    /// Number of the link
    pub id: u32,
    /// Number of the table; 0 once it has been detached
    pub map: u32,
}

/// What libbpf returns: a descriptor, or a negative errno.
fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: a new descriptor, which is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn done(err: i32) -> io::Result<()> {
    match err {
        0 => Ok(()),
        err => Err(io::Error::from_raw_os_error(-err)),
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

impl Link {
    /// Attaches the table `map` to a cgroup, or to none.
    pub fn create(map: BorrowedFd, cgroup: Option<BorrowedFd>, place: &Place) -> io::Result<Self> {
        let mut opts = sys::bpf_link_create_opts {
            sz: mem::size_of::<sys::bpf_link_create_opts>() as u64,
            flags: place.flags,
            ..Default::default()
        };
        if let Some(id) = place.relative {
            opts.flags |= sys::BPF_F_LINK;
            opts.__bindgen_anon_1.cgroup.relative_id = id;
        }
        let target = cgroup.map_or(0, |fd| fd.as_raw_fd());

        // SAFETY: both descriptors are open, and `opts` is read only now.
        owned(unsafe { sys::bpf_link_create(map.as_raw_fd(), target, sys::BPF_STRUCT_OPS, &opts) })
            .map(Self)
    }

    /// The link that is pinned there.
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

    fn fdinfo(&self) -> io::Result<String> {
        fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd()))
    }

    /// The link of this number.
    pub fn by_id(id: u32) -> io::Result<Self> {
        // SAFETY: takes a number.
        owned(unsafe { sys::bpf_link_get_fd_by_id(id) }).map(Self)
    }

    /// Replaces its table, at once for all hooks.
    pub fn update(&self, map: BorrowedFd) -> io::Result<()> {
        // SAFETY: both descriptors are open; no options are given.
        done(unsafe { sys::bpf_link_update(self.0.as_raw_fd(), map.as_raw_fd(), ptr::null()) })
    }

    /// Pins it, so that it outlives this process.
    pub fn pin(&self, path: &Path) -> io::Result<()> {
        let path = c_path(path)?;

        // SAFETY: an open descriptor, and a string with its terminating zero.
        done(unsafe { sys::bpf_obj_pin(self.0.as_raw_fd(), path.as_ptr()) })
    }

    /// Detaches the policy, whoever else holds the link.
    pub fn detach(&self) -> io::Result<()> {
        // SAFETY: an open descriptor.
        done(unsafe { sys::bpf_link_detach(self.0.as_raw_fd()) })
    }

    /// What the kernel tells of it; none if it is not the link of a table.
    pub fn info(&self) -> io::Result<Option<Info>> {
        let mut info = sys::bpf_link_info::default();
        let mut size = mem::size_of_val(&info) as u32;

        // SAFETY: `info` is as large as `size` says.
        done(unsafe { sys::bpf_link_get_info_by_fd(self.0.as_raw_fd(), &mut info, &mut size) })?;
        if info.type_ != sys::BPF_LINK_TYPE_STRUCT_OPS {
            return Ok(None);
        }
        Ok(Some(Info {
            id: info.id,
            // SAFETY: the member of the union that goes with the type.
            map: unsafe { info.__bindgen_anon_1.struct_ops.map_id },
        }))
    }

    /// Number and name of the policy that it keeps attached; none once it is detached.
    pub fn policy(&self) -> Result<Option<(u32, String)>> {
        let text = self.fdinfo().context("fdinfo of the link")?;

        Ok(parse_fdinfo(&text))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn parse_fdinfo(text: &str) -> Option<(u32, String)> {
    let line = text.lines().find_map(|line| line.strip_prefix("policy:"))?;
    let (id, name) = line.trim().split_once(' ')?;

    Some((id.parse().ok()?, name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fdinfo() {
        let text = "link_type:\tstruct_ops\npolicy:\t12 protect_all\nhook:\tcalls 1\n";

        assert_eq!(parse_fdinfo(text), Some((12, "protect_all".to_string())));
        assert_eq!(parse_fdinfo("link_type:\tstruct_ops\n"), None);
    }
}
