//! Removing what was made, and nothing else.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode as Permissions, OFlags, RawDir, SeekFrom, openat, seek, unlinkat,
};
use rustix::io::Errno;

use super::{Cgroups, Hierarchy};
use crate::error::{Error, Result};
use crate::text::PathBuf;

/// A directory's name with its NUL.
type Name = heapless::Vec<u8, 256>;

impl Cgroups {
    /// Removes the container's directories, those that it made below them, and the parents that we made
    /// and nobody else uses. All hierarchies are tried; the first error is told.
    pub fn destroy(&mut self) -> Result<()> {
        let mut outcome = Ok(());
        for at in 0..self.hierarchies.len() {
            let Some(hierarchy) = self.hierarchies.get(at) else { break };
            let removed = self.remove(hierarchy);
            if let (Ok(()), Some(hierarchy)) = (&removed, self.hierarchies.get_mut(at)) {
                hierarchy.made = 0;
            }
            outcome = outcome.and(removed);
        }
        outcome
    }

    fn remove(&self, hierarchy: &Hierarchy) -> Result<()> {
        if hierarchy.made == 0 {
            return Ok(());
        }
        let mut path = self.place(hierarchy);
        remove_tree(&path).map_err(|errno| Error::system("rmdir", &path, errno))?;
        for _ in 1..hierarchy.made {
            let Some(end) = path.as_bytes().iter().rposition(|&byte| byte == b'/') else { break };
            path.truncate(end);
            // Shared with another container by now, or removed by one.
            if unlinkat(CWD, path.as_cstr(), AtFlags::REMOVEDIR).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Sleeps a little longer each time; false once the time is up (some two seconds in all).
pub(super) struct Patience(u64);

impl Patience {
    pub(super) fn new() -> Self {
        Self(20_000)
    }

    pub(super) fn wait(&mut self) -> bool {
        // 20 µs, doubled up to 10 ms, which is then repeated.
        let nanoseconds = self.0.min(10_000_000);
        let time = rustix::time::Timespec { tv_sec: 0, tv_nsec: nanoseconds as i64 };
        let _ = rustix::thread::nanosleep(&time);
        self.0 = if self.0 < 10_000_000 { self.0 * 2 } else { self.0 + 10_000 };
        self.0 < 10_000_000 + 200 * 10_000
    }
}

/// rmdir(2) until the kernel has let go: a process that is no longer there may still be counted for
/// some µs to ms (EBUSY), and so may directories below.
fn remove_tree(path: &PathBuf) -> core::result::Result<(), Errno> {
    let mut patience = Patience::new();
    loop {
        match unlinkat(CWD, path.as_cstr(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(busy @ (Errno::BUSY | Errno::NOTEMPTY)) => {
                let _ = remove_below(path);
                if unlinkat(CWD, path.as_cstr(), AtFlags::REMOVEDIR).is_err() && !patience.wait() {
                    return Err(busy);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// Removes all directories below, the deepest first, in constant memory: a container that may make
/// cgroups chooses the depth.
fn remove_below(path: &PathBuf) -> core::result::Result<(), Errno> {
    let open = |directory: BorrowedFd<'_>, name: &core::ffi::CStr| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(directory, name, flags, Permissions::empty())
    };
    let mut here = open(CWD, path.as_cstr())?;
    let (mut depth, mut fruitless) = (0u32, false);
    loop {
        let Some(name) = first_child(&here)? else {
            if depth == 0 {
                return Ok(());
            }
            (here, depth, fruitless) = (open(here.as_fd(), c"..")?, depth - 1, true);
            continue;
        };
        let name = core::ffi::CStr::from_bytes_until_nul(&name).map_err(|_| Errno::INVAL)?;
        match unlinkat(&here, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => fruitless = false,
            // Nothing is left below it, so processes are in it.
            Err(errno) if fruitless => return Err(errno),
            Err(Errno::BUSY | Errno::NOTEMPTY) => (here, depth) = (open(here.as_fd(), name)?, depth + 1),
            Err(errno) => return Err(errno),
        }
    }
}

/// The name of the first directory in a directory, always searched from the start.
fn first_child(directory: &OwnedFd) -> core::result::Result<Option<Name>, Errno> {
    seek(directory, SeekFrom::Start(0))?;
    let mut space = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(directory, &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            return Ok(Name::from_slice(name.to_bytes_with_nul()).ok());
        }
    }
    Ok(None)
}
