//! Signals as something to read: the runtime in the foreground forwards them.

#![allow(unsafe_code)]

use rustix::fd::{AsFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use sc::syscall;

/// Every signal (sigsetops(3): bit n-1 is signal n).
static ALL: u64 = u64::MAX;

/// rt_sigprocmask(2): blocks every signal that can be blocked.
pub fn block_all() -> Result<(), Errno> {
    // SAFETY: the set is read only, and is of the size that is told; no old set is asked for.
    let done = unsafe { syscall!(RT_SIGPROCMASK, libc::SIG_BLOCK, &raw const ALL, 0, size_of::<u64>()) };
    super::check(done).map(drop)
}

/// signalfd4(2) for those of these signals that are blocked: bit n-1 is signal n.
pub fn of(set: u64) -> Result<OwnedFd, Errno> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the mask is read only, and is of the size that is told.
    let fd = unsafe { syscall!(SIGNALFD4, -1isize as usize, &raw const set, size_of::<u64>(), flags) };
    let fd = super::check(fd)?;
    // SAFETY: the kernel just gave us this descriptor, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The number of one signal that is waiting; `None` when there is none.
pub fn next(fd: impl AsFd) -> Result<Option<i32>, Errno> {
    // struct signalfd_siginfo is 128 bytes and begins with the signal's number (signalfd(2)).
    let mut info = [0u8; 128];
    match rustix::io::read(fd, &mut info) {
        Ok(_) => Ok(info.first_chunk().map(|number| i32::from_ne_bytes(*number))),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}
