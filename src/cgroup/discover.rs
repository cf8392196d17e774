//! Which hierarchies there are, and where. On the start path: as few system calls as possible, so the
//! usual mount points are guessed, and the guess is only checked by using it.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{CWD, FsWord, Mode as Permissions, OFlags, open, statfs};
use rustix::io::{Errno, read};

use super::{Cgroups, Mode, Span};
use crate::error::{Context, Result};
use crate::sys::fd::read_at;
use crate::sys::process::has_procfs;
use crate::wire::cgroupfs::{CgroupMount, lines, memberships};

/// Where every distribution mounts them.
const PLACE: &CStr = c"/sys/fs/cgroup";
const USUAL: &[u8] = PLACE.to_bytes();

/// What is mounted there.
#[derive(Clone, Copy)]
pub struct Mounted {
    /// The file system's type; 0: nothing to ask.
    kind: FsWord,
}

impl Mounted {
    /// statfs(2).
    pub fn look() -> Self {
        Self { kind: statfs(PLACE).map_or(0, |found| found.f_type) }
    }

    /// Whether it is the unified hierarchy alone.
    pub fn is_unified(self) -> bool {
        self.kind == libc::CGROUP2_SUPER_MAGIC as FsWord
    }
}

impl Cgroups {
    /// What there is by what `/sys/fs/cgroup` is: the unified hierarchy itself, or the place of v1's mounts,
    /// whose names /proc/self/cgroup tells.
    #[inline(never)]
    pub fn discover(place: Mounted) -> Result<Self> {
        let mut cgroups = Self::none();
        if place.is_unified() {
            cgroups.mode = Mode::V2;
            cgroups.add(b"", &[USUAL], 0)?;
            return Ok(cgroups);
        }
        let mut buffer = [0; 8192];
        let text = match read_at(CWD, c"/proc/self/cgroup", &mut buffer) {
            Ok(text) => text,
            // A kernel without cgroups. Without /proc nobody knows.
            Err(Errno::NOENT) if has_procfs() => return Ok(cgroups),
            Err(errno) => return Err(errno).context("read", "/proc/self/cgroup"),
        };
        for hierarchy in memberships(text).filter(|hierarchy| !hierarchy.controllers.is_empty()) {
            let name = hierarchy.controllers;
            let name = name.strip_prefix(b"name=").unwrap_or(name);
            cgroups.add(hierarchy.controllers, &[USUAL, b"/", name], 0)?;
            cgroups.mode = Mode::V1;
        }
        if place.kind != libc::TMPFS_MAGIC as _ || cgroups.mode == Mode::None {
            cgroups.locate()?;
        }
        Ok(cgroups)
    }

    /// The slow and certain way: /proc/self/mountinfo. Hierarchies that are not mounted are forgotten.
    pub(super) fn locate(&mut self) -> Result<()> {
        let subject = "/proc/self/mountinfo";
        let file =
            open(subject, OFlags::RDONLY | OFlags::CLOEXEC, Permissions::empty()).context("open", subject)?;
        self.locate_in(file.as_fd(), subject)
    }

    /// The same by any file with such lines.
    pub fn locate_in(&mut self, file: BorrowedFd<'_>, subject: &str) -> Result<()> {
        let mut found = [Span::default(); crate::limits::HIERARCHIES];
        let mut unified = Span::default();
        let mut buffer = [0; 8192];
        let mut kept = 0;
        loop {
            let len = match buffer.get_mut(kept..) {
                Some(free) => read(file, free).context("read", subject)?,
                None => 0,
            };
            let text = buffer.get(..kept + len).unwrap_or_default();
            // The last line may go on in the next piece; one that is longer than all is no cgroup mount.
            let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(text.len(), |end| end + 1);
            for mount in lines(text.get(..whole).unwrap_or_default()).filter_map(CgroupMount::parse) {
                if mount.unified && unified.end == 0 {
                    unified = self.names.add(&[mount.mountpoint])?;
                }
                for (hierarchy, place) in self.hierarchies.iter().zip(&mut found) {
                    if place.end == 0 && mount.holds(self.names.bytes(hierarchy.controllers)) {
                        *place = self.names.add(&[mount.mountpoint])?;
                    }
                }
            }
            if len == 0 {
                break;
            }
            let end = text.len();
            buffer.copy_within(whole..end, 0);
            kept = end - whole;
        }
        for (hierarchy, place) in self.hierarchies.iter_mut().zip(found) {
            hierarchy.mountpoint = place;
        }
        self.hierarchies.retain(|hierarchy| hierarchy.mountpoint.end != 0);
        if self.hierarchies.is_empty() && unified.end != 0 {
            let controllers = self.names.add(&[])?;
            let below = Span::default();
            let only = super::Hierarchy { controllers, mountpoint: unified, below, made: 0, tasks: None };
            let _ = self.hierarchies.push(only);
            self.mode = Mode::V2;
        } else if self.hierarchies.is_empty() {
            self.mode = Mode::None;
        }
        Ok(())
    }
}
