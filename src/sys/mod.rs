//! The gate to the kernel: one system call per function, or one named pair of a call and its fallback.
//!
//! rustix is the gate for every call that it has, and is used as it is; here live the calls that it
//! lacks, through `sc`. No loop, no policy, no message: errors are bare errnos.

pub mod arguments;
pub mod bpf;
pub mod clock;
pub mod descriptor;
pub mod exe;
pub mod fd;
pub mod link;
pub mod memory;
pub mod mount;
pub mod pidfd;
pub mod process;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod signalfd;
pub mod stdio;

use rustix::io::Errno;

/// What a raw call returned: a value, or a negated errno in the last page of numbers.
#[allow(clippy::cast_possible_wrap)]
pub(crate) fn check(returned: usize) -> Result<usize, Errno> {
    match returned as isize {
        error @ -4095..=-1 => Err(Errno::from_raw_os_error(-error as i32)),
        _ => Ok(returned),
    }
}
