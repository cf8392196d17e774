//! Signals by number, real-time ones included, to the process behind a pidfd.

#![allow(unsafe_code)]

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;
use sc::syscall;

/// pidfd_send_signal(2).
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: no memory is handed over; the kernel checks descriptor and number.
    let done = unsafe { syscall!(PIDFD_SEND_SIGNAL, pidfd.as_raw_fd(), signal, 0, 0) };
    super::check(done).map(drop)
}
