//! `tmpcopyup`: fills a tmpfs with what it is about to hide.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Uid};
use rustix::io::Errno;

use super::{call, resolve};
use crate::error::{Context, Error, Result};
use crate::limits;
use crate::text::shown;

/// Copies the tree at `from` into the directory `to`: content, modes, owners, links; not times.
pub fn tree(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    let stat = call::fstat(from, c".")?;
    level(from, to, limits::COPY_DEPTH)?;
    own(to, c"", &stat).context("chown", ".")
}

/// One directory's entries.
fn level(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<()> {
    let deeper =
        depth.checked_sub(1).ok_or_else(|| Error::refused("copy", "directories are nested too deeply"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = rustix::fs::openat(from, c".", flags, Mode::empty()).context("open", "directory")?;
    // An entry's name has at most 255 bytes (getdents64(2)).
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&listing, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.context("getdents64", "directory")?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy(from, to, name, deeper)?;
        }
    }
    Ok(())
}

/// One entry: what was looked at is what is copied, even if something else takes its place meanwhile.
fn copy(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> Result<()> {
    let source = call::open(from.as_fd(), name, OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = call::fstat(&source, name)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, mode).context("mkdirat", shown(name))?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let below = call::open(to.as_fd(), name, flags)?;
            level(&source, &below, depth)?;
        }
        FileType::Symlink => {
            let target = resolve::link(&source, c"").context("readlinkat", shown(name))?;
            rustix::fs::symlinkat(target.as_cstr(), to, name).context("symlinkat", shown(name))?;
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let opened = call::open(from.as_fd(), name, flags)?;
            let same = call::fstat(&opened, name)?;
            if (same.st_dev, same.st_ino) != (stat.st_dev, stat.st_ino) {
                return Err(Error::refused("copy", format_args!("{} was exchanged meanwhile", shown(name))));
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let copied = rustix::fs::openat(to, name, flags, mode).context("open", shown(name))?;
            content(&opened, &copied).context("sendfile", shown(name))?;
        }
        kind => {
            rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev).context("mknodat", shown(name))?;
        }
    }
    own(to, name, &stat).context("chown", shown(name))
}

fn content(from: &OwnedFd, to: &OwnedFd) -> core::result::Result<(), Errno> {
    while rustix::fs::sendfile(to, from, None, 1 << 30)? != 0 {}
    Ok(())
}

/// Owner, then mode: chown(2) clears set-user-ID bits.
fn own(directory: &OwnedFd, name: &CStr, stat: &Stat) -> core::result::Result<(), Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), flags)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Ok(());
    }
    // fchmodat(2) takes no empty path, and the tmpfs is not yet in anyone's reach.
    let name = if name.is_empty() { c"." } else { name };
    rustix::fs::chmodat(directory, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())
}
