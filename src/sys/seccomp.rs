//! Filters on system calls (seccomp(2)).

#![allow(unsafe_code)]

use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Errno;
use sc::syscall;

/// `SECCOMP_SET_MODE_FILTER` and a flag of it (linux/seccomp.h).
const SET_MODE_FILTER: usize = 1;
const NEW_LISTENER: u32 = 1 << 3;

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    len: u16,
    filter: *const u8,
}

/// seccomp(2) with `SECCOMP_SET_MODE_FILTER`: puts the calling thread under a filter (an array of `struct sock_filter`) for good. The
/// answer is the listener's descriptor, close-on-exec, if the flags ask for one (Linux 5.0). EACCES: neither no_new_privs is set nor
/// has the caller CAP_SYS_ADMIN. EINVAL: a flag that this kernel does not know, or an empty or broken program.
pub fn load(program: &[u8], flags: u32) -> Result<Option<OwnedFd>, Errno> {
    let len = u16::try_from(program.len() / 8).map_err(|_| Errno::INVAL)?;
    let program = Program { len, filter: program.as_ptr() };
    // SAFETY: the kernel copies as many instructions as there are, and checks them.
    let fd = unsafe { syscall!(SECCOMP, SET_MODE_FILTER, flags, &raw const program) };
    let fd = super::check(fd)?;
    if flags & NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: the kernel just gave us this descriptor, nobody else has it.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}
