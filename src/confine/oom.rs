//! How likely the kernel is to kill the process when memory is short (proc_pid_oom_score_adj(5)).

use core::fmt::Write;

use rustix::fs::CWD;

use crate::error::{Context, Result};
use crate::sys::fd::write_at;
use crate::text::{PathBuf, short};

/// Sets the score of a process, or the caller's own; through the host's /proc, so before the container's takes its place.
///
/// In a user namespace init has no say: the file belongs to the host's root, and lowering needs its CAP_SYS_RESOURCE. There the
/// runtime sets it from outside, on the child that init descends from.
pub fn adjust(pid: Option<i32>, score: i64) -> Result<()> {
    let mut path = PathBuf::new();
    let _ = match pid {
        Some(pid) => write!(path, "/proc/{pid}/oom_score_adj"),
        None => path.write_str("/proc/self/oom_score_adj"),
    };
    let score = short(format_args!("{score}"));
    write_at(CWD, path.as_cstr(), score.as_bytes()).context("write", path)
}
