//! Starts a command again and again and says how long each run took: the clock of the bench.
//!
//!     launch RUNS IDLE_MS PROGRAM ARGUMENT...
//!
//! One line a run: nanoseconds from before the start until the process is reaped, its peak resident KB, its page
//! faults. It is a program of its own, and small, because a process counts its parent's pages as its own peak until
//! it has executed its program (vfork shares them). Ends with status 1 at the first run that fails.

#![no_main]
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::ptr::null;

fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) fills the buffer that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn number(text: *const c_char) -> i64 {
    // SAFETY: an argument of main, so a C string.
    unsafe { libc::atol(text) }
}

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    if count < 4 {
        return 2;
    }
    // SAFETY: main's arguments are `count` C strings and a null, for as long as the process lives.
    unsafe {
        let (runs, idle) = (number(*arguments.add(1)), number(*arguments.add(2)));
        let command = arguments.add(3);
        let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(), null()];
        for _ in 0..runs {
            if idle > 0 {
                libc::usleep(idle as u32 * 1000);
            }
            let (mut child, mut status) = (0, 0);
            let mut usage: libc::rusage = std::mem::zeroed();
            let start = now();
            // Both C libraries start the child as vfork does.
            let error = libc::posix_spawn(
                &raw mut child,
                *command,
                null(),
                null(),
                command.cast(),
                environment.as_ptr().cast(),
            );
            if error != 0 || libc::wait4(child, &raw mut status, 0, &raw mut usage) != child || status != 0 {
                libc::printf(c"%s: error %d, wait status %d\n".as_ptr(), *command, error, status);
                return 1;
            }
            let took = now() - start;
            libc::printf(c"%ld %ld %ld\n".as_ptr(), took, usage.ru_maxrss, usage.ru_minflt);
        }
    }
    0
}
