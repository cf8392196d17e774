//! Who is in a container, and what /proc says of a process.

use core::ffi::CStr;

use rustix::fs::{CWD, Mode as Permissions, OFlags, fstat, openat};

use super::Container;
use super::store::Store;
use crate::cgroup::Mode;
use crate::error::Result;
use crate::sys::fd::read_at;
use crate::text::short;
use crate::wire::cgroupfs::keyed;
use crate::wire::stat::Stat;

/// Calls `each` for every process in the container's cgroup and below, by its pid here. Without a cgroup nobody
/// knows them but init.
pub fn each(store: &Store, id: &CStr, each: &mut dyn FnMut(u32)) -> Result<()> {
    let container = Container::load(store, id)?;
    match &container.cgroups {
        // One that our pid namespace does not see has no number.
        Some(cgroups) if cgroups.mode() != Mode::None => cgroups.processes(|pid| {
            if pid != 0 {
                each(pid)
            }
        }),
        _ => {
            container.init().into_iter().for_each(|init| each(init.pid.unsigned_abs()));
            Ok(())
        }
    }
}

/// A process, as /proc has it.
pub struct Process<'b> {
    pub pid: u32,
    /// Effective; 0 when it is not dumpable.
    pub uid: u32,
    pub stat: Stat<'b>,
    status: &'b [u8],
    /// Its arguments with blanks between them; none when it is a kernel's.
    pub arguments: &'b [u8],
}

impl<'b> Process<'b> {
    /// Reads it into a buffer, which cuts off what is too long; `None` when it has ended.
    pub fn read(pid: u32, buffer: &'b mut [u8]) -> Option<Self> {
        let path = short(format_args!("/proc/{pid}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // What is read through the directory is of one process, whoever gets the number next.
        let directory = openat(CWD, path.as_str(), flags, Permissions::empty()).ok()?;
        let (first, rest) = buffer.split_at_mut_checked(1024)?;
        let (second, third) = rest.split_at_mut_checked(2048)?;
        let stat = Stat::parse(read_at(&directory, c"stat", first).ok()?)?;
        let status = read_at(&directory, c"status", second).ok()?;
        let len = read_at(&directory, c"cmdline", third).ok()?.len();
        let arguments = third.get_mut(..len.saturating_sub(1))?;
        arguments.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
        Some(Self { pid, uid: fstat(&directory).ok()?.st_uid, stat, status, arguments })
    }

    /// KiB of /proc/pid/status; 0 for a process without memory of its own.
    pub fn memory(&self, line: &str) -> i64 {
        keyed(self.status, line.as_bytes()).unwrap_or(0) as i64
    }
}
