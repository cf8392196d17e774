//! The three descriptors that every program is given.

#![allow(unsafe_code)]

use rustix::fd::BorrowedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Standard input.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: `ensure` has run, and nobody closes 0 to 2.
    unsafe { rustix::stdio::stdin() }
}

/// Standard output.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: as for `stdin`.
    unsafe { rustix::stdio::stdout() }
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for `stdin`.
    unsafe { rustix::stdio::stderr() }
}

/// Puts /dev/null where a caller left one of the three closed, so that nothing that we open lands there.
/// The first thing that a process does.
pub fn ensure() -> Result<(), Errno> {
    for fd in [stdin(), stdout(), stderr()] {
        if rustix::io::fcntl_getfd(fd) == Err(Errno::BADF) {
            // The lowest free number is this one, since those below are open. Kept: it is the descriptor now.
            let null = rustix::fs::openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty())?;
            core::mem::forget(null);
        }
    }
    Ok(())
}
