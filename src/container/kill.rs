//! Signals to a container.

use core::ffi::CStr;

use rustix::fd::AsFd;
use rustix::io::Errno;

use super::Container;
use super::store::Store;
use crate::cgroup::{Cgroups, Mode};
use crate::error::{Error, Result};
use crate::sys;
use crate::text::shown;

/// The operation of the error about a container that has no process. Callers look for the words.
pub const NOT_RUNNING: &str = "container not running";

/// The answer for a container that has no process.
#[cold]
pub(super) fn not_running(id: &CStr) -> Error {
    Error::refused(NOT_RUNNING, shown(id))
}

/// Sends `signal` to the container's init. SIGKILL ends every process of it: with a pid namespace of its own the
/// kernel sees to that (pid_namespaces(7)), without one the cgroup says who they are, also when init is gone.
pub fn kill(store: &Store, id: &CStr, signal: i32) -> Result<()> {
    let container = Container::load(store, id)?;
    let done = container.signal(signal);
    if signal == libc::SIGKILL && !container.plan.makes(libc::CLONE_NEWPID)? {
        if let Some(cgroups) = container.cgroups.as_ref().filter(|it| it.mode() != Mode::None) {
            let mut left = 0u32;
            cgroups.processes(|_| left += 1)?;
            return match (done, left) {
                (Err(_), 0) => Err(not_running(id)),
                _ => cgroups.kill().map_err(|error| error.within("unable to kill all processes")),
            };
        }
    }
    match (done, &container.init) {
        (Ok(()), _) => Ok(()),
        (_, None) => Err(not_running(id)),
        (Err(Errno::SRCH), _) => Err(Error::refused("unable to signal init", "os: process already finished")),
        (Err(errno), _) => Err(Error::system("unable to signal init: pidfd_send_signal", signal, errno)),
    }
}

impl Container<'_> {
    /// pidfd_send_signal(2) to init: whose pid it was is certain. ESRCH: there is none.
    pub(super) fn signal(&self, signal: i32) -> core::result::Result<(), Errno> {
        let init = self.init.as_ref().ok_or(Errno::SRCH)?;
        sys::pidfd::send_signal(init.pidfd.as_fd(), signal)?;
        if signal == libc::SIGKILL {
            // v1's freezer keeps a killed process until it is thawed.
            let _ = self.cgroups.as_ref().map(Cgroups::thaw);
        }
        Ok(())
    }
}
