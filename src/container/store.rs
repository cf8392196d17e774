//! The state root: a directory per container, with its plan and its state.
//!
//! `<root>/<id>/plan` is all that is written down of it, see [`super::record`]. The directory is there before
//! anything else of the container is, and goes last, so that a runtime killed at any instant leaves a name to
//! clean up by. Who changes a container holds the lock (flock(2)) on its directory.

use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::thread::nanosleep;
use rustix::time::Timespec;

use super::names::Names;
use super::tree;
use crate::error::{Context, Error, Result};
use crate::text::{PathBuf, shown};
use crate::{limits, plan, sys};

/// File name of the plan.
pub const PLAN: &CStr = c"plan";
/// Where a created container waits, see [`super::gate`].
pub const GATE: &CStr = c"gate";
/// The same, as long as it is being created.
pub const GATE_NEW: &CStr = c".gate";
/// What is mounted into the container for sd_notify(3), see [`super::notify`].
pub const NOTIFY: &CStr = c"notify";
/// The socket in it.
pub const NOTIFY_SOCKET: &CStr = c"notify/notify.sock";
/// Which address it has on its bridge, see [`super::lease`].
pub const LEASE: &CStr = c"lease";
/// What the container writes above the layers of its root, see [`crate::rootfs::overlay`].
pub const OVERLAY: &CStr = c"overlay";

/// How long the lock is waited for: 1,000 times 10 ms.
const PATIENCE: u32 = 1000;
const PAUSE: i64 = 10_000_000;

/// The state root.
pub struct Store {
    dir: OwnedFd,
    path: PathBuf,
}

/// One container's directory.
pub struct Entry {
    dir: OwnedFd,
    path: PathBuf,
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::RDONLY);

impl Store {
    /// The state root at `path`, made with its parents when it is not there.
    pub fn make(path: PathBuf) -> Result<Self> {
        match Self::open(path.clone()) {
            Err(error) if error.errno() == Some(Errno::NOENT) => {
                make_all(&path)?;
                Self::open(path)
            }
            done => done,
        }
    }

    /// The state root at `path`, which must be there.
    pub fn open(path: PathBuf) -> Result<Self> {
        let dir = fs::openat(CWD, path.as_cstr(), DIRECTORY, Mode::empty()).context("open", &path)?;
        Ok(Self { dir, path })
    }

    /// A new container's directory, locked.
    pub fn create(&self, id: &CStr) -> Result<Entry> {
        let exists = || Err(Error::refused("container with given ID already exists", shown(id)));
        let make = || fs::mkdirat(&self.dir, id, Mode::from_raw_mode(0o711));
        let mut made = make();
        if made == Err(Errno::EXIST) && !self.entry(id)?.is_taken()? {
            // Somebody is about to write it, or was killed before: then there is no container of that name.
            let entry = self.locked(id)?;
            if !entry.is_taken()? {
                self.remove(id, entry)?;
                made = make();
            }
        }
        match made {
            Err(Errno::EXIST) => return exists(),
            done => done.context("mkdir", self.path_of(id)?)?,
        }
        // Before we have the lock, `delete --force` may remove it, and another be made.
        let claimed = self.locked(id).and_then(|entry| match entry.look(PLAN)? {
            Some(_) => exists(),
            None => Ok(entry),
        });
        // Where there is no errno, it is another's by now.
        if claimed.as_ref().is_err_and(|error| error.errno().is_some()) {
            let _ = fs::unlinkat(&self.dir, id, AtFlags::REMOVEDIR);
        }
        claimed
    }

    /// A known container's directory.
    pub fn entry(&self, id: &CStr) -> Result<Entry> {
        let path = self.path_of(id)?;
        match fs::openat(&self.dir, id, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::NOENT) => Err(missing(id)),
            done => Ok(Entry { dir: done.context("open", &path)?, path }),
        }
    }

    /// A known container's directory, locked.
    pub fn locked(&self, id: &CStr) -> Result<Entry> {
        let entry = self.entry(id)?;
        // A runtime that is still making it holds the lock, and is waited for.
        entry.lock()?;
        if entry.is_there()? { Ok(entry) } else { Err(missing(id)) }
    }

    /// Removes a container's directory with all that is in it. One that somebody else has removed is removed.
    /// The entry ends first: a directory that is removed while it is open costs ext4 its orphan list.
    pub fn remove(&self, id: &CStr, entry: Entry) -> Result<()> {
        entry.unlink(PLAN)?;
        let Entry { dir, path } = entry;
        drop(dir);
        let mut removed = fs::unlinkat(&self.dir, id, AtFlags::REMOVEDIR);
        if removed == Err(Errno::NOTEMPTY) {
            // A container that was never started, or a runtime that was killed. With a plan, it is another already.
            let entry = self.entry(id)?;
            if entry.look(PLAN)?.is_some() {
                return Ok(());
            }
            [GATE, GATE_NEW, NOTIFY_SOCKET, LEASE].into_iter().try_for_each(|name| entry.unlink(name))?;
            let _ = fs::unlinkat(&entry.dir, NOTIFY, AtFlags::REMOVEDIR);
            tree::remove(entry.dir.as_fd(), OVERLAY)?;
            removed = fs::unlinkat(&self.dir, id, AtFlags::REMOVEDIR);
        }
        match removed {
            Err(Errno::NOENT) => Ok(()),
            done => done.context("rmdir", &path),
        }
    }

    /// The root itself, locked by who compares containers.
    pub fn lock(&self) -> Result<Entry> {
        let dir = fs::openat(&self.dir, c".", DIRECTORY, Mode::empty()).context("open", &self.path)?;
        let root = Entry { dir, path: self.path.clone() };
        root.lock().map(|()| root)
    }

    /// The names of all containers.
    pub fn names(&self) -> Result<Names> {
        let memory = sys::memory::anonymous(limits::NAMES).context("mmap", &self.path)?;
        let mut len = 0;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(&self.dir, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.context("getdents64", &self.path)?;
            let name = entry.file_name().to_bytes_with_nul();
            if !matches!(entry.file_type(), FileType::Directory | FileType::Unknown)
                || matches!(name, b".\0" | b"..\0")
            {
                continue;
            }
            let place = memory.get_mut(len..len + name.len());
            place.ok_or_else(|| Error::system("list", &self.path, Errno::FBIG))?.copy_from_slice(name);
            len += name.len();
        }
        Ok(Names(memory.get(..len).unwrap_or(&[])))
    }

    /// Where a container's directory is.
    pub fn path_of(&self, id: &CStr) -> Result<PathBuf> {
        let mut path = self.path.clone();
        path.join(id.to_bytes()).map_err(|_| Error::system("open", &self.path, Errno::NAMETOOLONG))?;
        Ok(path)
    }
}

/// The operation of that error.
pub const MISSING: &str = "container does not exist";

/// The answer for an unknown id, in the words that callers look for.
pub fn missing(id: &CStr) -> Error {
    Error::refused(MISSING, shown(id))
}

impl Entry {
    /// Takes the lock, and holds it until [`Entry::unlock`] or the end of this entry. Somebody who is at work on the
    /// container is waited for, but not for ever: a hook may hang.
    pub fn lock(&self) -> Result<()> {
        self.take(FlockOperation::NonBlockingLockExclusive)
    }

    /// The same for who only reads, and does not mind others who do.
    pub fn share(&self) -> Result<()> {
        self.take(FlockOperation::NonBlockingLockShared)
    }

    fn take(&self, how: FlockOperation) -> Result<()> {
        for _ in 0..PATIENCE {
            match fs::flock(&self.dir, how) {
                Err(Errno::AGAIN) => {}
                done => return done.context("flock", &self.path),
            }
            let _ = nanosleep(&Timespec { tv_sec: 0, tv_nsec: PAUSE });
        }
        Err(Error::refused(
            "flock",
            format_args!("{}: another command is at work on this container", self.path),
        ))
    }

    /// Gives the lock back.
    pub fn unlock(&self) -> Result<()> {
        fs::flock(&self.dir, FlockOperation::Unlock).context("flock", &self.path)
    }

    /// Whether the directory that is locked is the one of that name: who held the lock may have removed it, and another have
    /// been made since.
    pub fn is_there(&self) -> Result<bool> {
        Ok(fs::fstat(&self.dir).context("fstat", &self.path)?.st_nlink > 0)
    }

    /// Whether somebody else is at work on it.
    pub fn is_locked(&self) -> bool {
        fs::flock(&self.dir, FlockOperation::NonBlockingLockShared).is_err()
    }

    /// Whether it is a container's. An empty plan is what a runtime has left that was killed.
    fn is_taken(&self) -> Result<bool> {
        Ok(self.look(PLAN)?.is_some_and(|plan| plan.st_size > 0))
    }

    /// Writes the plan as the first thing in its file.
    pub fn write_plan(&self, plan: &[u8]) -> Result<OwnedFd> {
        let file = self.open(PLAN, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        self.fill(file.as_fd(), PLAN, plan)?;
        Ok(file)
    }

    /// Appends another message to the plan.
    pub fn append(&self, file: BorrowedFd<'_>, message: &[u8]) -> Result<()> {
        self.fill(file, PLAN, message)
    }

    /// The plan's file whole, and whose it is; empty, if there is none.
    pub fn read_plan<'b>(&self, room: &'b mut [u8]) -> Result<(&'b [u8], u32)> {
        let file = match self.open(PLAN, OFlags::RDONLY) {
            Err(error) if error.errno() == Some(Errno::NOENT) => return Ok((&[], 0)),
            file => file?,
        };
        let known = fs::fstat(&file).context("fstat", self.shown(PLAN))?;
        // It is asked before, lest a file that is not ours fill the memory.
        let room = usize::try_from(known.st_size).ok().and_then(|size| room.get_mut(..size));
        let room = room.ok_or_else(|| Error::refused(plan::BROKEN, "longer than its limit"))?;
        // (What is appended meanwhile is read another time. A regular file gives at once what it has.)
        let len = rustix::io::read(&file, &mut *room).context("read", self.shown(PLAN))?;
        Ok((room.get(..len).unwrap_or_default(), known.st_uid))
    }

    /// Opens one of its files.
    pub fn open(&self, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        fs::openat(&self.dir, name, flags, Mode::from_raw_mode(0o600)).context("open", self.shown(name))
    }

    fn fill(&self, file: BorrowedFd<'_>, name: &CStr, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = rustix::io::write(file, bytes).context("write", self.shown(name))?;
            bytes = bytes.get(written..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Gives what has the name `from` the name `to`.
    pub fn rename(&self, from: &CStr, to: &CStr) -> Result<()> {
        fs::renameat(&self.dir, from, &self.dir, to).context("rename", self.shown(to))
    }

    /// What has this name, as a place (`O_PATH`), if it is there.
    pub fn find(&self, name: &CStr) -> Result<Option<OwnedFd>> {
        match self.open(name, OFlags::PATH) {
            Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
            done => done.map(Some),
        }
    }

    /// What fstatat(2) says of what has this name, if it is there.
    pub fn look(&self, name: &CStr) -> Result<Option<fs::Stat>> {
        match fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            done => done.context("stat", self.shown(name)).map(Some),
        }
    }

    /// Makes the directory for the socket of sd_notify(3).
    pub fn make_notify(&self) -> Result<()> {
        fs::mkdirat(&self.dir, NOTIFY, Mode::from_raw_mode(0o755)).context("mkdir", self.shown(NOTIFY))
    }

    /// Makes the directory for what is written above layers.
    pub fn make_overlay(&self) -> Result<(OwnedFd, PathBuf)> {
        let mut path = self.path.clone();
        let _ = path.join(OVERLAY.to_bytes());
        fs::mkdirat(&self.dir, OVERLAY, Mode::RWXU).context("mkdir", &path)?;
        self.open(OVERLAY, OFlags::PATH | OFlags::DIRECTORY).map(|place| (place, path))
    }

    /// The directory itself.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Removes what has this name, if it is there.
    pub fn unlink(&self, name: &CStr) -> Result<()> {
        match fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            done => done.context("unlink", self.shown(name)),
        }
    }

    /// Where what has this name is, for people.
    pub(super) fn shown<'b>(&'b self, name: &'b CStr) -> Inside<'b> {
        Inside(&self.path, name)
    }
}

/// A directory, and what is in it.
pub(super) struct Inside<'a>(&'a PathBuf, &'a CStr);

impl fmt::Display for Inside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, shown(self.1))
    }
}

/// Reads until the buffer is full or the file ends.
pub fn read_full(file: impl AsFd, buffer: &mut [u8]) -> core::result::Result<usize, Errno> {
    let mut done = 0;
    while let Some(free) = buffer.get_mut(done..).filter(|free| !free.is_empty()) {
        match rustix::io::read(&file, free) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// mkdir(2) of a directory and of its missing parents.
fn make_all(path: &PathBuf) -> Result<()> {
    let bytes = path.as_bytes();
    let ends = bytes.iter().enumerate().filter(|&(at, &byte)| byte == b'/' && at > 0).map(|(at, _)| at);
    for end in ends.chain([bytes.len()]) {
        let part = PathBuf::from_bytes(bytes.get(..end).unwrap_or(bytes)).unwrap_or_default();
        // Sticky: so who tidies $XDG_RUNTIME_DIR up leaves it alone (XDG Base Directory Specification).
        match fs::mkdirat(CWD, part.as_cstr(), Mode::from_raw_mode(0o1700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::system("mkdir", &part, errno)),
        }
    }
    Ok(())
}
