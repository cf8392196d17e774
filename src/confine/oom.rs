//! How likely the kernel is to kill the process when memory is short (proc_pid_oom_score_adj(5)).

use core::fmt::Write;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::text::PathBuf;

/// Sets the score of a process, or the caller's own; through the host's /proc, so before the container's takes its place.
///
/// In a user namespace init has no say: the file belongs to the host's root, and lowering needs its CAP_SYS_RESOURCE. There the
/// runtime sets it from outside on the child that init descends from, and init, `lenient`, takes what it was given.
pub fn adjust(pid: Option<i32>, score: i64, lenient: bool) -> Result<()> {
    let mut path = PathBuf::new();
    let _ = match pid {
        Some(pid) => write!(path, "/proc/{pid}/oom_score_adj"),
        None => path.write_str("/proc/self/oom_score_adj"),
    };
    let mut text = heapless::String::<24>::new();
    let _ = write!(text, "{score}");
    let written = rustix::fs::openat(CWD, path.as_cstr(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(&file, text.as_bytes()));
    match written {
        Err(Errno::ACCESS | Errno::PERM) if lenient => Ok(()),
        Err(errno) => Err(Error::system("write", path, errno)),
        Ok(_) => Ok(()),
    }
}
