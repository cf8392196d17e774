//! The first of the three stages, from its birth until the container has it.
//!
//! It is started as early as can be: while it makes its namespaces, the runtime makes plan, cgroups and state on another processor.

use nsenter::boot::{self, Boot, Offset, Target};
use nsenter::spawn;
use nsenter::sync::Channel;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};

use super::Init;
use crate::confine::scheduling;
use crate::error::{Context, Error, Result};
use crate::plan::{self, Plan, namespace};
use crate::{sys, trace};

/// A process that waits for BOOT.
pub struct Child {
    /// Until somebody takes it, it is ours to end.
    process: Option<Init>,
    /// What it executes.
    exe: Option<OwnedFd>,
    socket: OwnedFd,
    /// Whether it was born in the cgroup that was asked for.
    pub into_cgroup: bool,
}

impl Child {
    /// The one that [`Child::tell`] is to tell this.
    pub fn of(boot: &Boot<'_>, cgroup: Option<BorrowedFd<'_>>) -> Result<Self> {
        let flags = if boot.collapsed { boot.namespaces & libc::CLONE_NEWPID as u32 } else { 0 };
        // We would have enough to do meanwhile. But execve(2) looks for an idle processor (sched_exec), may take ours for one between
        // two calls, and what it then runs waits until we sleep.
        Self::spawn(flags | libc::CLONE_VFORK as u32, cgroup, || None)
    }

    /// Has it unshare and join.
    pub fn tell(&self, boot: &Boot<'_>) -> Result<()> {
        let memory = sys::memory::anonymous(boot::MAX).context("mmap", "boot")?;
        Ok(self.channel().send(boot.emit(memory).map_err(plan::broken)?)?)
    }

    /// See [`spawn::child`].
    pub fn spawn(
        flags: u32,
        cgroup: Option<BorrowedFd<'_>>,
        other: impl FnOnce() -> Option<i32>,
    ) -> Result<Self> {
        let (socket, theirs) = channel()?;
        let exe = sys::exe::sealed().context("memfd_create", "own executable")?;
        trace::mark(trace::SEALED);
        let cgroup = cgroup.as_ref().map(AsRawFd::as_raw_fd);
        let child = spawn::child(exe.as_raw_fd(), theirs.as_raw_fd(), flags.into(), cgroup, other)?;
        trace::mark(trace::SPAWNED);
        let process = Init { pid: child.pid, pidfd: sys::descriptor::adopt(child.pidfd) };
        let born = Self { process: Some(process), exe: Some(exe), socket, into_cgroup: child.into_cgroup };
        // Of one that is not waited for this tells later.
        spawn::failure().map_or(Ok(born), |failure| Err(failure.into()))
    }

    /// What it listens on.
    pub fn channel(&self) -> Channel {
        Channel::new(self.socket.as_raw_fd())
    }

    /// In our pid namespace.
    pub fn pid(&self) -> i32 {
        self.process.as_ref().map_or(0, |process| process.pid)
    }

    /// Gives it to somebody who ends it.
    pub fn take(&mut self) -> Option<Init> {
        self.process.take()
    }

    /// Unmounts what it executes. That costs: the kernel waits for all processors (RCU), 0.1 to 1 ms. So this is done while there is
    /// nothing to do but wait for init.
    pub fn release(&mut self) {
        self.exe = None;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(process) = &self.process else { return };
        let _ = pidfd_send_signal(&process.pidfd, Signal::KILL);
        let _ = waitpid(Pid::from_raw(process.pid), WaitOptions::empty());
    }
}

/// The socketpair: our end close-on-exec, the child's inherited.
pub fn channel() -> Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .context("socketpair", "")?;
    rustix::io::fcntl_setfd(&theirs, FdFlags::empty()).context("fcntl", "socket")?;
    Ok((ours, theirs))
}

/// BOOT, from the plan's namespaces and priorities.
pub fn boot<'a>(plan: &Plan<'a>) -> Result<Boot<'a>> {
    let mut boot = Boot::default();
    for namespace in plan.each::<namespace::Namespace<'a>>() {
        let namespace = namespace?;
        match namespace.path {
            None => boot.namespaces |= namespace.flag,
            Some(path) if boot.join(namespace.flag, Target::Path(path)) => {}
            Some(_) => return Err(Error::refused("linux.namespaces", "more than eight paths")),
        }
    }
    for offset in plan.each::<namespace::TimeOffset>() {
        let offset = offset?;
        let value = Some(Offset { seconds: offset.secs, nanoseconds: offset.nanosecs });
        if offset.clock == libc::CLOCK_BOOTTIME as u32 {
            boot.boottime = value;
        } else {
            boot.monotonic = value;
        }
    }
    boot.maps = boot.namespaces & libc::CLONE_NEWUSER as u32 != 0;
    // Priorities are for init before it hears anything, see `prioritise`.
    boot.collapsed = boot.collapses() && !scheduling::has_priorities(plan)?;
    Ok(boot)
}
