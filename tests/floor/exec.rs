//! The floor of `exec`: the kernel calls that one more process in a container is made of, one after another.
//!
//!     floor-exec PID PROGRAM DIR...
//!
//! `PID` is the container's first process, `DIR`s are its cgroups: one per v1 hierarchy, or the one of v2. As in `floor`,
//! nothing is read, parsed or chosen. The caller itself joins, and clones once: what a runtime cannot do, since its
//! executable would be seen by the container (CVE-2019-5736).

#![no_main]
#![allow(unsafe_code)]
// SAFETY, for all calls: every pointer is a string literal or a buffer that outlives its call, and the process is
// single-threaded.
#![allow(clippy::undocumented_unsafe_blocks)]

#[path = "process.rs"]
mod process;

use std::ffi::{CStr, c_char, c_int};
use std::ptr::null;

use process::{Path, confine, ok};

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count as usize) };
    let &[_, pid, program, ref directories @ ..] = arguments else { return 125 };
    let pidfd = ok(unsafe { libc::syscall(libc::SYS_pidfd_open, libc::atol(pid), 0) }, c"pidfd_open");
    let v2 = unsafe { libc::access(c"/sys/fs/cgroup/cgroup.controllers".as_ptr(), libc::F_OK) } == 0;
    let mut tasks = [-1; 16];
    let mut into = -1;
    for (place, &directory) in tasks.iter_mut().zip(directories) {
        let directory = unsafe { CStr::from_ptr(directory) }.to_bytes();
        let path = Path::new(&[directory, b"/tasks"]);
        *place = unsafe { libc::open(path.at(), libc::O_WRONLY | libc::O_CLOEXEC) };
        // v2, be it beside v1.
        if *place < 0 {
            let path = Path::new(&[directory]);
            into = ok(unsafe { libc::open(path.at(), libc::O_PATH | libc::O_CLOEXEC) }, c"open cgroup");
        }
    }
    let kinds =
        libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    let kinds = if v2 { kinds | libc::CLONE_NEWCGROUP } else { kinds };
    ok(unsafe { libc::setns(pidfd, kinds) }, c"setns");
    // clone_args of clone3(2).
    let mut clone = [0u64; 11];
    clone[4] = libc::SIGCHLD as u64;
    if into >= 0 {
        clone[0] = 0x2_0000_0000; // CLONE_INTO_CGROUP
        clone[10] = into as u64;
    }
    let child =
        ok(unsafe { libc::syscall(libc::SYS_clone3, clone.as_ptr(), size_of_val(&clone)) }, c"clone3");
    if child == 0 {
        for &tasks in tasks.iter().filter(|&&tasks| tasks >= 0) {
            ok(unsafe { libc::write(tasks, c"0".as_ptr().cast(), 1) } as i64, c"tasks");
        }
        unsafe {
            ok(libc::setsid(), c"setsid");
            // KEYCTL_JOIN_SESSION_KEYRING, anonymous.
            ok(libc::syscall(libc::SYS_keyctl, 1, null::<c_char>()), c"keyctl");
        }
        confine();
        process::execute(program);
    }
    let mut status = 0;
    ok(unsafe { libc::waitpid(child, &raw mut status, 0) }, c"waitpid");
    libc::WEXITSTATUS(status)
}
