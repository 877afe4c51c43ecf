// SPDX-License-Identifier: GPL-2.0

//! Waiting for cgroups to appear, by inotify on their nearest ancestors that exist.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// Directories in which cgroups may appear.
pub struct Watch {
    inotify: Inotify,
    dirs: BTreeMap<PathBuf, WatchDescriptor>,
}

/// Return the nearest ancestor that exists.
fn ancestor(path: &Path) -> Option<PathBuf> {
    path.ancestors().skip(1).find(|dir| dir.is_dir()).map(Path::to_path_buf)
}

impl Watch {
    /// Watch nothing yet.
    pub fn new() -> Result<Self> {
        let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;

        Ok(Self { inotify: Inotify::init(flags).context("inotify")?, dirs: BTreeMap::new() })
    }

    /// Watch for these paths and no others. True: one has appeared meanwhile.
    pub fn set(&mut self, absent: &[PathBuf]) -> Result<bool> {
        let wanted: Vec<PathBuf> = absent.iter().filter_map(|path| ancestor(path)).collect();
        let inotify = &self.inotify;

        self.dirs.retain(|dir, watch| {
            // One whose directory was removed is gone; another may have its name.
            let keep = wanted.contains(dir);
            if !keep {
                let _ = inotify.rm_watch(*watch);
            }
            keep
        });
        for dir in wanted {
            let flags =
                AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
            // It may be removed meanwhile: then another ancestor is the nearest.
            match self.inotify.add_watch(&dir, flags) {
                Ok(watch) => self.dirs.insert(dir, watch),
                Err(_) => return Ok(!dir.is_dir()),
            };
        }
        let nearer = |path: &PathBuf| {
            path.exists() || ancestor(path).is_some_and(|dir| !self.dirs.contains_key(&dir))
        };
        Ok(absent.iter().any(nearer))
    }

    /// Read what has happened.
    pub fn drain(&self) {
        while self.inotify.read_events().is_ok_and(|all| !all.is_empty()) {}
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::poll::{poll, PollFd, PollFlags};

    use super::*;

    fn is_ready(watch: &Watch) -> bool {
        let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, 0_u8).unwrap() == 1
    }

    #[test]
    fn a_directory_appears_below_one_that_does() {
        let top = std::env::temp_dir().join(format!("sched-bpf-watch-{}", std::process::id()));
        let path = top.join("a.slice").join("b.service");
        let mut watch = Watch::new().unwrap();

        fs::create_dir_all(&top).unwrap();
        assert!(!watch.set(&[path.clone()]).unwrap());
        assert!(!is_ready(&watch));
        fs::create_dir(top.join("a.slice")).unwrap();
        assert!(is_ready(&watch));
        watch.drain();
        assert!(!is_ready(&watch) && !watch.set(&[path.clone()]).unwrap());
        fs::create_dir(&path).unwrap();
        assert!(is_ready(&watch) && watch.set(&[path]).unwrap());
        fs::remove_dir_all(&top).unwrap();
    }
}
