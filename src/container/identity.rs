//! Which process a pid meant: a pid alone may be somebody else's by now.
//!
//! A process is told apart by the inode of its pidfd, which the kernel never reuses (pidfs, Linux 6.9, 64-bit).
//! Before that, by its start time in clock ticks (proc_pid_stat(5), field 22). Whatever is then done to
//! it goes through the pidfd that was compared.

use core::fmt::Write;
use core::sync::atomic::{AtomicU8, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::store::read_full;
use crate::error::{Context, Error, Result};
use crate::text::PathBuf;
use crate::wire::cgroupfs::number;
use crate::wire::stat::Stat;

/// `f_type` of pidfs (linux/magic.h).
const PIDFS: u64 = 0x5049_4446;

/// A process, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its pid in our namespace.
    pub pid: i32,
    /// What no other process of that pid has.
    pub start: u64,
}

impl Identity {
    /// Of the process behind a pidfd.
    pub fn of(pid: i32, pidfd: BorrowedFd<'_>) -> Result<Self> {
        Ok(Self { pid, start: start(pid, pidfd)? })
    }

    /// The process, if it is still there and has not ended. What only keeps us from knowing is an error: taken for its end, it would
    /// have `delete` forget a process that runs.
    pub fn open(&self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            // Gone, or a thread's by now (ENOENT since Linux 6.15, before it EINVAL).
            Err(Errno::SRCH | Errno::NOENT | Errno::INVAL) => return Ok(None),
            done => done.context("pidfd_open", "init")?,
        };
        let start = match start(self.pid, pidfd.as_fd()) {
            // It had a /proc/PID/stat to be known by. (Or there is no /proc.)
            Err(_) if has_ended(pidfd.as_fd()) => return Ok(None),
            done => done?,
        };
        Ok((start == self.start && !has_ended(pidfd.as_fd())).then_some(pidfd))
    }
}

/// Whether the process has ended, be it not yet waited for.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

/// Whether pidfds are of pidfs. The first one tells.
fn is_pidfs(pidfd: BorrowedFd<'_>) -> Result<bool> {
    static KNOWN: AtomicU8 = AtomicU8::new(2);
    let known = KNOWN.load(Ordering::Relaxed);
    if known < 2 {
        return Ok(known == 1);
    }
    let is = rustix::fs::fstatfs(pidfd).context("fstatfs", "pidfd")?.f_type as u64 == PIDFS;
    KNOWN.store(is.into(), Ordering::Relaxed);
    Ok(is)
}

fn start(pid: i32, pidfd: BorrowedFd<'_>) -> Result<u64> {
    if is_pidfs(pidfd)? {
        return Ok(rustix::fs::fstat(pidfd).context("fstat", "pidfd")?.st_ino);
    }
    let mut path = PathBuf::new();
    let _ = write!(path, "/proc/{pid}/stat");
    let file = rustix::fs::openat(CWD, path.as_cstr(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .context("open", &path)?;
    let mut buffer = [0; 1024];
    let read = read_full(&file, &mut buffer).context("read", &path)?;
    start_time(buffer.get(..read).unwrap_or(&[]))
        .ok_or_else(|| Error::refused("read", format_args!("{path}: no start time")))
}

/// Field 22 of /proc/<pid>/stat.
fn start_time(stat: &[u8]) -> Option<u64> {
    number(Stat::parse(stat)?.field(22)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let stat = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 11 12\n";
        assert_eq!(start_time(stat), Some(987_654));
        assert_eq!(start_time(b"7 (a) S 1"), None);
        assert_eq!(start_time(b""), None);
    }

    #[test]
    fn our_own_process_is_itself_and_nobody_elses() {
        let pid = rustix::process::getpid();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let me = Identity::of(pid.as_raw_nonzero().get(), pidfd.as_fd()).unwrap();
        assert!(me.open().unwrap().is_some());
        assert!(Identity { start: me.start + 1, ..me }.open().unwrap().is_none());
    }

    #[test]
    fn a_process_that_has_ended_is_not_there() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let it = Identity::of(pid.as_raw_nonzero().get(), pidfd.as_fd()).unwrap();
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
        assert!(it.open().unwrap().is_none(), "a zombie counts as ended");
        child.wait().unwrap();
        assert!(it.open().unwrap().is_none());
    }
}
