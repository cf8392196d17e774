//! Removes a directory with all that a container has left in it.
//!
//! Nothing in there is trusted: no link is followed, and however deep the directories lie, the stack and the descriptors that
//! this takes stay the same. A directory that is not empty is moved up to the top, where its turn comes.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, RenameFlags, chmodat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use crate::error::{Context, Result};
use crate::text::{short, shown};

type Done<T> = core::result::Result<T, Errno>;

/// Removes `name` in `directory`, which need not be there.
pub fn remove(directory: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let done = match open(directory, name) {
        Err(Errno::NOENT) => return Ok(()),
        top => top.and_then(|top| empty(top.as_fd())),
    };
    done.and_then(|()| unlinkat(directory, name, AtFlags::REMOVEDIR)).context("remove", shown(name))
}

/// Empties `top`, in rounds: what is moved there may stand before where a round is.
fn empty(top: BorrowedFd<'_>) -> Done<()> {
    let (mut moved, mut found) = (0_u64, true);
    while found {
        found = false;
        each(top, c".", &mut |_, name| {
            found = true;
            if unlink(top, name)? {
                return Ok(());
            }
            each(top, name, &mut |inner, name| match unlink(inner, name)? {
                true => Ok(()),
                false => move_up(inner, name, top, &mut moved),
            })?;
            unlinkat(top, name, AtFlags::REMOVEDIR)
        })?;
    }
    Ok(())
}

/// Moves a directory to `top`, under a name that the container has given to nothing there.
fn move_up(inner: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u64) -> Done<()> {
    loop {
        *moved += 1;
        let free = short(format_args!(".moved.{moved}\0"));
        let free = CStr::from_bytes_until_nul(free.as_bytes()).unwrap_or(name);
        match renameat_with(inner, name, top, free, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            done => return done,
        }
    }
}

/// Removes a file or an empty directory; `false` for a directory that is not, which then is its owner's to change.
fn unlink(directory: BorrowedFd<'_>, name: &CStr) -> Done<bool> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        done => return done.map(|()| true),
    }
    match unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY) => chmodat(directory, name, Mode::RWXU, AtFlags::empty()).map(|()| false),
        done => done.map(|()| true),
    }
}

/// Each name in a directory, with the directory.
fn each(
    directory: BorrowedFd<'_>,
    name: &CStr,
    take: &mut dyn FnMut(BorrowedFd<'_>, &CStr) -> Done<()>,
) -> Done<()> {
    let directory = open(directory, name)?;
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            take(directory.as_fd(), name)?;
        }
    }
    Ok(())
}

fn open(directory: BorrowedFd<'_>, name: &CStr) -> Done<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}
