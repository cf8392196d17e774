//! A container in the foreground: signals go in, its terminal comes out, its exit status is ours.

use rustix::event::PollFd;
use rustix::event::{PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};

use super::Container;
use super::notify::Notify;
use crate::error::{Context, Error, Result};
use crate::init::reaper::exit_status;
use crate::sys;
use crate::terminal::relay::Relay;
use crate::trace;

/// Signals that are blocked and come out of a descriptor. Taken before the container is made, so that none is lost.
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks them all.
    pub fn block() -> Result<Self> {
        sys::signalfd::block_all().context("rt_sigprocmask", "")?;
        sys::signalfd::of(!0).context("signalfd4", "").map(Self)
    }
}

impl Container<'_> {
    /// Stays with the container until its process has ended. Its exit status, or 128 and the signal that killed it. What its terminal
    /// printed and could not be passed on is `warn`ed of.
    pub fn attend(&mut self, signals: &Signals, warn: &mut dyn FnMut(&Error)) -> Result<u8> {
        let mut relay = self.console.take().map(Relay::new).transpose()?;
        let mut status = None;
        // What a process wrote before it ended is still to be read from its terminal.
        while status.is_none() || relay.is_some() {
            let mut fds = heapless::Vec::<PollFd<'_>, 5>::new();
            let _ = fds.push(PollFd::new(&signals.0, PollFlags::IN));
            let inside = self.notify.as_ref().map_or(signals.0.as_fd(), Notify::inside);
            let _ = fds.push(PollFd::from_borrowed_fd(inside, PollFlags::IN));
            let _ =
                fds.extend_from_slice(relay.as_ref().map(Relay::interests).as_ref().map_or(&[], |all| all));
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("poll", "", errno)),
            }
            let mut ready = fds.iter().map(PollFd::revents);
            let mut next = || ready.next().unwrap_or(PollFlags::empty());
            let signalled = next().contains(PollFlags::IN);
            let notified = next().contains(PollFlags::IN);
            let ends = [next(), next(), next()];
            drop(fds);
            // We are there as long as the process is, and know its exit status.
            let us = rustix::process::getpid().as_raw_nonzero().get();
            if notified && self.notify.as_ref().is_some_and(|notify| notify.relay(us).unwrap_or(true)) {
                self.notify = None;
            }
            if signalled {
                self.take_signals(signals, relay.as_ref(), &mut status)?;
            }
            if let Some(over) = relay.take_if(|relay| !relay.step(ends)) {
                over.lost.iter().for_each(&mut *warn);
            }
        }
        Ok(status.unwrap_or(0))
    }

    fn take_signals(
        &mut self,
        signals: &Signals,
        relay: Option<&Relay>,
        status: &mut Option<u8>,
    ) -> Result<()> {
        while let Some(signal) = sys::signalfd::next(&signals.0).context("read", "signalfd")? {
            match (signal, relay) {
                (libc::SIGCHLD, _) => *status = status.or(self.reap()?),
                // Only the network stack sends it, and it means a socket of ours.
                (libc::SIGURG, _) => {}
                (libc::SIGWINCH, Some(relay)) => relay.resize(),
                _ => self.forward(signal)?,
            }
        }
        Ok(())
    }

    /// Hands a signal on. A process that has just ended does not need it.
    fn forward(&self, signal: i32) -> Result<()> {
        match self.signal(signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(Error::system("pidfd_send_signal", "init", errno)),
        }
    }

    /// Waits for whatever has ended: init, and orphans when we are their subreaper. Init's status, if it is among them.
    fn reap(&mut self) -> Result<Option<u8>> {
        let init = self.init.as_ref().and_then(|init| Pid::from_raw(init.pid));
        let mut status = None;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, ended))) if Some(pid) == init => status = Some(exit_status(ended)),
                Ok(Some(_)) => {}
                Ok(None) | Err(Errno::CHILD) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::system("waitpid", "", errno)),
            }
        }
        if status.is_some() {
            // Its pid means nobody any more.
            self.init = None;
            trace::mark(trace::ENDED);
        }
        Ok(status)
    }

    /// Waits, where systemd waits, until the container is ready or has ended.
    pub fn await_ready(&self) -> Result<()> {
        match (&self.notify, &self.init) {
            (Some(notify), Some(init)) => notify.attend(init.pid, &init.pidfd),
            _ => Ok(()),
        }
    }

    /// Whether the kernel has killed a process of the container for want of memory.
    pub fn ran_out_of_memory(&self) -> bool {
        self.cgroups.as_ref().is_some_and(|cgroups| cgroups.oom_kills().unwrap_or(0) > 0)
    }
}
