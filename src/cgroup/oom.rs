//! Whether memory ran out, and to be told when it does.

use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode as Permissions, OFlags, open};
use rustix::io::{Errno, pread, read};

use super::{Cgroups, Mode};
use crate::error::{Context, Result};
use crate::text::short;
use crate::wire::cgroupfs::keyed;

/// A descriptor that becomes ready (`POLLIN` on v1, `POLLPRI` on v2) when memory runs out.
pub struct OomWatch {
    file: OwnedFd,
    mode: Mode,
    /// v2 counts.
    kills: u64,
}

impl Cgroups {
    /// How many processes of the cgroup the kernel has killed for want of memory. 0 where nobody counts:
    /// without the memory controller, and on v1 before Linux 4.13.
    pub fn oom_kills(&self) -> Result<u64> {
        let Some(hierarchy) = self.holding("memory") else { return Ok(0) };
        let name: &[u8] = if self.mode == Mode::V2 { b"memory.events" } else { b"memory.oom_control" };
        let mut buffer = [0; 512];
        match self.read_file(hierarchy, name, &mut buffer) {
            Ok(text) => Ok(keyed(text, b"oom_kill").unwrap_or(0)),
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV)) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Asks to be told of each time that memory runs out; none where nobody can tell. v1: cgroups.rst of
    /// Documentation/admin-guide/cgroup-v1, 2.4; v2: `memory.events` itself is polled.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        let Some(hierarchy) = self.holding("memory") else { return Ok(None) };
        let unified = self.mode == Mode::V2;
        let path = self.file(hierarchy, if unified { b"memory.events" } else { b"memory.oom_control" });
        let control = match open(path.as_cstr(), OFlags::RDONLY | OFlags::CLOEXEC, Permissions::empty()) {
            // The controller is not handed down to here.
            Err(Errno::NOENT) => return Ok(None),
            done => done.context("open", &path)?,
        };
        let mut watch = OomWatch { file: control, mode: self.mode, kills: 0 };
        if unified {
            watch.has_run_out();
            return Ok(Some(watch));
        }
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).context("eventfd2", "")?;
        let request = short(format_args!("{} {}", event.as_raw_fd(), watch.file.as_raw_fd()));
        match self.write_file(hierarchy, b"cgroup.event_control", request.as_bytes()) {
            // A kernel with real-time locking has none.
            Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
            done => done.map(|()| {
                watch.file = event;
                Some(watch)
            }),
        }
    }
}

impl OomWatch {
    /// To be polled.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whether memory has run out since this was asked last. It makes the descriptor unready again.
    pub fn has_run_out(&mut self) -> bool {
        let mut buffer = [0; 512];
        if self.mode == Mode::V1 {
            return read(&self.file, &mut buffer).is_ok();
        }
        let Ok(len) = pread(&self.file, &mut buffer, 0) else { return false };
        let kills = keyed(buffer.get(..len).unwrap_or_default(), b"oom_kill").unwrap_or(0);
        core::mem::replace(&mut self.kills, kills) < kills
    }
}
