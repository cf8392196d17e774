//! Dispositions and the mask: a program starts with what the one before it left (execve(2)).

#![allow(unsafe_code)]

use rustix::io::Errno;
use sc::syscall;

/// Numbers of signals: 1 to 64 (signal(7)).
pub const LAST: u32 = 64;

/// `struct sigaction` as the kernel has it: handler, flags, restorer, mask; all zero is SIG_DFL.
static DEFAULT: [u64; 4] = [0; 4];

/// No signal.
static NONE: u64 = 0;

/// Every signal (sigsetops(3): bit n-1 is signal n).
static ALL: u64 = u64::MAX;

/// rt_sigaction(2) to SIG_DFL. EINVAL for SIGKILL and SIGSTOP, which have no other.
pub fn set_default(signal: u32) -> Result<(), Errno> {
    // SAFETY: the structure is only read, and not longer than ours on any architecture of 64 bits.
    let done = unsafe { syscall!(RT_SIGACTION, signal, &raw const DEFAULT, 0, size_of::<u64>()) };
    super::check(done).map(drop)
}

/// rt_sigprocmask(2): blocks none.
pub fn unblock_all() -> Result<(), Errno> {
    // SAFETY: the set is only read, and is of the size that is told.
    let done = unsafe { syscall!(RT_SIGPROCMASK, libc::SIG_SETMASK, &raw const NONE, 0, size_of::<u64>()) };
    super::check(done).map(drop)
}

/// rt_sigtimedwait(2) without a timeout: takes the next of the signals that are blocked, by its number.
pub fn wait() -> Result<i32, Errno> {
    // SAFETY: the set is only read, and is of the size that is told; nothing else is asked for.
    let signal = unsafe { syscall!(RT_SIGTIMEDWAIT, &raw const ALL, 0, 0, size_of::<u64>()) };
    super::check(signal).map(|signal| signal as i32)
}

/// kill(2), with real-time signals.
pub fn send(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    super::check(unsafe { syscall!(KILL, pid, signal) }).map(drop)
}
