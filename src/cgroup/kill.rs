//! Who is in the cgroup, and the end of them all.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode as Permissions, OFlags, RawDir, openat};
use rustix::io::{Errno, read};
use rustix::process::{Pid, Signal, getpid, kill_process};

use super::destroy::Patience;
use super::{Cgroups, Hierarchy, Mode};
use crate::error::{Context, Error, Result};
use crate::limits;
use crate::wire::cgroupfs::Pids;

impl Cgroups {
    /// Every process in the container's cgroup and below. 0 stands for one that our pid namespace
    /// does not see.
    pub fn processes(&self, mut each: impl FnMut(u32)) -> Result<()> {
        match self.primary() {
            Some(hierarchy) => self.visit(hierarchy, &mut each),
            None => Ok(()),
        }
    }

    /// SIGKILL to every process in the cgroup and below, until none is left. For about two seconds.
    pub fn kill(&self) -> Result<()> {
        let Some(hierarchy) = self.primary() else { return Ok(()) };
        let path = self.place(hierarchy);
        let whole = self.mode == Mode::V2 && self.kill_whole(hierarchy)?;
        let mut patience = Patience::new();
        loop {
            let mut left = 0u32;
            if whole {
                self.visit(hierarchy, &mut |_| left += 1)?;
            } else {
                left = self.kill_each(hierarchy)?;
            }
            if left == 0 {
                return Ok(());
            }
            if !patience.wait() {
                let reason = format_args!("{path}: {left} process(es) do not end");
                return Err(Error::refused("kill", reason));
            }
        }
    }

    /// v2's `cgroup.kill` (Linux 5.14): no process can slip away. `false` on older kernels.
    fn kill_whole(&self, hierarchy: &Hierarchy) -> Result<bool> {
        match self.write_file(hierarchy, b"cgroup.kill", b"1") {
            Ok(()) => Ok(true),
            // Older, or a threaded cgroup, which cannot be killed as a whole.
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::OPNOTSUPP)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One round of SIGKILL; tells how many there were. While the cgroup is frozen, none can fork, and
    /// none can end and give its number to a stranger; a frozen process dies when it is thawed.
    fn kill_each(&self, hierarchy: &Hierarchy) -> Result<u32> {
        // Without a freezer it takes more rounds.
        let frozen = self.freeze().is_ok();
        let mut count = 0;
        let done = self.visit(hierarchy, &mut |pid| {
            count += 1;
            // 0 would be our own process group; and who runs the container is not part of it.
            let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
            if pid != getpid() {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        if frozen {
            self.thaw()?;
        }
        done.map(|()| count)
    }

    /// Calls `each` for the processes of one hierarchy's directory and of those below.
    pub(super) fn visit(&self, hierarchy: &Hierarchy, each: &mut dyn FnMut(u32)) -> Result<()> {
        let path = self.place(hierarchy);
        match visit(CWD, path.as_cstr(), limits::CGROUP_DEPTH, each) {
            // It is gone, so nobody is in it.
            Err(Errno::NOENT | Errno::NODEV) => Ok(()),
            done => done.context("read processes of", &path),
        }
    }
}

fn visit(
    parent: BorrowedFd<'_>,
    name: &core::ffi::CStr,
    depth: u32,
    each: &mut dyn FnMut(u32),
) -> core::result::Result<(), Errno> {
    let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let here = openat(parent, name, flags | OFlags::DIRECTORY, Permissions::empty())?;
    read_pids(&here, flags, each)?;
    let mut space = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&here, &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            match visit(here.as_fd(), name, depth, each) {
                // Removed meanwhile.
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

fn read_pids(
    directory: &OwnedFd,
    flags: OFlags,
    each: &mut dyn FnMut(u32),
) -> core::result::Result<(), Errno> {
    let file = openat(directory, c"cgroup.procs", flags, Permissions::empty())?;
    let mut pids = Pids::default();
    let mut buffer = [0; 1024];
    loop {
        match read(&file, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => pids.feed(buffer.get(..len).unwrap_or_default(), &mut *each),
            // A threaded cgroup: its processes are listed in the one above that holds its threads.
            Err(Errno::OPNOTSUPP) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}
