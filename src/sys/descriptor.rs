//! Descriptors that change hands.

#![allow(unsafe_code)]

use core::mem::ManuallyDrop;

use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{DupFlags, Errno};

/// A descriptor of nsenter's as one of ours: both close on drop, one of them does.
pub fn adopt(fd: nsenter::Fd) -> OwnedFd {
    // SAFETY: `into_raw` gives up the only ownership of an open descriptor.
    unsafe { OwnedFd::from_raw_fd(fd.into_raw()) }
}

/// Another descriptor behind this number, close-on-exec: dup3(2).
pub fn replace(number: i32, by: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: who uses the number goes on using it; nothing is dropped here.
    let mut place = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    rustix::io::dup3(by, &mut place, DupFlags::CLOEXEC)
}

/// Whether no descriptor has this number: fcntl(2), F_GETFD.
pub fn is_closed(number: i32) -> bool {
    // SAFETY: the number is used for one question only, which answers EBADF where nothing is behind it.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).is_err()
}
