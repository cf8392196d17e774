//! What both floors end with: the process's rights, and its program.

use std::ffi::{CStr, c_char, c_int, c_ulong};
use std::ptr::null;

/// CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE.
const CAPABILITIES: u64 = 1 << 5 | 1 << 10 | 1 << 29;

/// Ends the program naming the call where the kernel refuses.
pub fn ok(result: impl Into<i64>, call: &CStr) -> c_int {
    let result = result.into();
    if result < 0 {
        unsafe {
            libc::perror(call.as_ptr());
            libc::_exit(125);
        }
    }
    result as c_int
}

/// A path put together on the stack.
pub struct Path(pub [u8; 512], pub usize);

impl Path {
    pub fn new(parts: &[&[u8]]) -> Self {
        let mut path = Self([0; 512], 0);
        for part in parts {
            path.0[path.1..path.1 + part.len()].copy_from_slice(part);
            path.1 += part.len();
        }
        path
    }

    pub fn at(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }
}

pub fn confine() {
    unsafe {
        let limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
        ok(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), c"setrlimit");
        for capability in (0..=40).filter(|bit| CAPABILITIES & 1 << bit == 0) {
            ok(libc::prctl(libc::PR_CAPBSET_DROP, capability as c_ulong, 0, 0, 0), c"PR_CAPBSET_DROP");
        }
        ok(libc::setgroups(0, null()), c"setgroups");
        ok(libc::setgid(0), c"setgid");
        ok(libc::setuid(0), c"setuid");
        let header = [0x2008_0522_u32, 0]; // _LINUX_CAPABILITY_VERSION_3
        let low = CAPABILITIES as u32;
        let sets = [low, low, 0, 0, 0, 0];
        ok(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()), c"capset");
        ok(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), c"PR_SET_NO_NEW_PRIVS");
        ok(libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4 /* CLOSE_RANGE_CLOEXEC */), c"close_range");
    }
}

/// Becomes the program, with `runc spec`'s environment.
pub fn execute(program: *const c_char) -> ! {
    let environment = [
        c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".as_ptr(),
        c"TERM=xterm".as_ptr(),
        null(),
    ];
    unsafe {
        libc::execve(program, [program, null()].as_ptr(), environment.as_ptr());
    }
    ok(-1, c"execve");
    unreachable!()
}
