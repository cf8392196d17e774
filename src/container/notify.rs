//! sd_notify(3) for a container whose runtime is a systemd service: the container gets a socket of its own (it can neither
//! see systemd's nor be known by it), and its READY=1 is passed on, once.
//!
//! The socket is in a directory of the state, which the plan mounts at /run/notify; so `start` can bind it anew after
//! `create` has made the container. What else the process says (STATUS=, WATCHDOG=1) goes nowhere, as with runc.

use core::ffi::CStr;

use nsenter::sync::Channel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;

use super::socket;
use super::store::{Entry, NOTIFY, NOTIFY_SOCKET};
use crate::error::{Context, Result};
use crate::text::{self, shown};

/// Seconds that systemd may take to see what was sent.
const PATIENCE: i64 = 5;

/// Between the container and systemd.
pub struct Notify {
    inside: OwnedFd,
    systemd: OwnedFd,
}

impl Notify {
    /// Listens to the container, for systemd at `address` (`$NOTIFY_SOCKET`).
    pub fn new(entry: &Entry, address: &CStr) -> Result<Self> {
        let systemd = socket::reach(address).context("NOTIFY_SOCKET", shown(address))?;
        // Of a start that failed.
        entry.unlink(NOTIFY_SOCKET)?;
        let directory = entry.open(NOTIFY, OFlags::PATH)?;
        let (_, name) = NOTIFY_SOCKET.to_str().unwrap_or("").rsplit_once('/').unwrap_or_default();
        // Whoever the process is may write to it.
        let inside = socket::bind(directory.as_fd(), name, Mode::from_raw_mode(0o777));
        Ok(Self { inside: inside.context("bind", shown(NOTIFY_SOCKET))?, systemd })
    }

    /// What the container says.
    pub fn inside(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }

    /// Takes one message, and passes READY=1 on if it is in there: then true. `main`: the pid that systemd is to watch from
    /// now on.
    pub fn relay(&self, main: i32) -> Result<bool> {
        let mut message = [0; 1024];
        let len = rustix::io::read(&self.inside, &mut message).context("read", "notify")?;
        let mut lines = message.get(..len).unwrap_or(&[]).split(|&byte| byte == b'\n');
        if !lines.any(|line| line == b"READY=1") {
            return Ok(false);
        }
        let said = text::short(format_args!("READY=1\nMAINPID={main}\n"));
        rustix::io::write(&self.systemd, said.as_bytes()).context("write", "NOTIFY_SOCKET")?;
        Ok(true)
    }

    /// Waits until the container is ready or its process, whose pidfd this is, has ended. Comes back when systemd has taken notice: it
    /// drops what a sender said that is gone by then.
    pub fn attend(&self, pid: i32, pidfd: &OwnedFd) -> Result<()> {
        loop {
            let mut fds = [PollFd::new(&self.inside, PollFlags::IN), PollFd::new(pidfd, PollFlags::IN)];
            poll(&mut fds, None).context("poll", "notify")?;
            let [said, ended] = fds.map(|fd| !fd.revents().is_empty());
            if said && self.relay(pid)? {
                break;
            }
            if ended && !said {
                return Ok(());
            }
        }
        // sd_notify_barrier(3): systemd closes the descriptor when it comes to this message.
        let (closed, sent) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("pipe2", "notify")?;
        Channel::new(self.systemd.as_raw_fd()).send_with_fds(b"BARRIER=1", &[sent.as_raw_fd()])?;
        drop(sent);
        let mut fds = [PollFd::new(&closed, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec { tv_sec: PATIENCE, tv_nsec: 0 })).context("poll", "notify")?;
        Ok(())
    }
}
