//! What time it is. rustix reads it from the vDSO, whose look-up costs more code and more time than the few
//! calls of a short process.

#![allow(unsafe_code)]

use rustix::time::Timespec;
use sc::syscall;

/// clock_gettime(2), CLOCK_REALTIME: since 1970, UTC.
pub fn realtime() -> Timespec {
    get(libc::CLOCK_REALTIME)
}

/// clock_gettime(2), CLOCK_MONOTONIC: since some moment, without jumps.
pub fn monotonic() -> Timespec {
    get(libc::CLOCK_MONOTONIC)
}

/// clock_gettime(2), CLOCK_BOOTTIME: since the machine began to count, sleep included.
pub fn boottime() -> Timespec {
    get(libc::CLOCK_BOOTTIME)
}

fn get(clock: i32) -> Timespec {
    let mut time = Timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills one `struct timespec` of 64-bit members. It fails for unknown clocks only.
    unsafe { syscall!(CLOCK_GETTIME, clock, &raw mut time) };
    time
}
