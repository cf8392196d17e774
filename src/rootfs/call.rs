//! The calls that the steps here are made of, each with the words for its failure. Out of line on purpose: with both at
//! every place they were a tenth of what init is.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, Stat};

use crate::error::{Context, Result};
use crate::sys::mount::{self, Attributes, Reach};
use crate::text::shown;

/// openat(2), never to make a file; close-on-exec.
#[inline(never)]
pub fn open(directory: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC, Mode::empty()).context("open", shown(name))
}

/// fstat(2) of what `at` names.
#[inline(never)]
pub fn fstat(file: &OwnedFd, at: &CStr) -> Result<Stat> {
    rustix::fs::fstat(file).context("fstat", shown(at))
}

/// Whether it is a directory.
pub fn is_directory(file: &OwnedFd, at: &CStr) -> Result<bool> {
    Ok(FileType::from_raw_mode(fstat(file, at)?.st_mode) == FileType::Directory)
}

/// A detached copy of the mount that `file` lies on, from there on.
#[inline(never)]
pub fn copy(file: &OwnedFd, reach: Reach, at: &CStr) -> Result<OwnedFd> {
    mount::clone_tree(file.as_fd(), c"", reach, false).context("open_tree", shown(at))
}

/// mount_setattr(2).
#[inline(never)]
pub fn set_attributes(tree: &OwnedFd, reach: Reach, attributes: &Attributes, at: &CStr) -> Result<()> {
    mount::set_attributes(tree, reach, attributes).context("mount_setattr", shown(at))
}

/// Puts a detached mount onto `place`, which `at` names.
#[inline(never)]
pub fn attach(tree: &OwnedFd, place: &OwnedFd, at: &CStr) -> Result<()> {
    mount::attach(tree, place).context("move_mount", shown(at))
}
