//! The end of a container: its processes, its cgroups, its state, and the hooks that hear of it.

use nsenter::attr::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use core::ffi::CStr;

use super::record::Record;
use super::store::{Entry, Store, missing};
use super::{Container, Init};
use crate::cgroup::Cgroups;
use crate::confine::resctrl;
use crate::error::{Context, Error, Result};
use crate::hooks;
use crate::plan::{self, Plan, hook, kind};
use crate::trace;

/// How long a killed process may take to end.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// How long one may that `delete` finds running: its caller may have seen its last words, and runc is slower than its end is.
const GRACE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

impl<'a> Container<'a> {
    /// A container that an earlier process made, as far as it got.
    pub fn load(store: &'a Store, id: &'a CStr) -> Result<Self> {
        match Self::restore(store, id, store.entry(id)?) {
            // Its maker may still be writing it, under the lock.
            Err(error) if error.op() == plan::BROKEN => {
                let entry = store.entry(id)?;
                entry.share()?;
                Self::restore(store, id, entry)
            }
            done => done,
        }
    }

    /// The same, locked, to be changed.
    pub fn locked(store: &'a Store, id: &'a CStr) -> Result<Self> {
        let entry = store.locked(id)?;
        Self::restore(store, id, entry)
    }

    pub(super) fn restore(store: &'a Store, id: &'a CStr, entry: Entry) -> Result<Self> {
        let stored = match entry.read_plan() {
            // It comes first: nobody has written it yet, or ever will.
            Err(error) if error.errno() == Some(Errno::NOENT) => &[],
            done => done?,
        };
        if stored.is_empty() {
            return Err(missing(id));
        }
        let (message, rest) = Message::parse(stored).map_err(plan::broken)?;
        let plan = Plan::new(message);
        let mut resctrl = 0;
        let cgroups = if plan.has(kind::CGROUP_MANAGER_DISABLED)? {
            None
        } else if rest.is_empty() {
            // The runtime was killed before it wrote where they are.
            let mut cgroups = Cgroups::discover()?;
            cgroups.find(plan.string(kind::CGROUPS_PATH)?.unwrap_or(c"/"))?;
            Some(cgroups)
        } else {
            Some(Cgroups::restore(&Plan::new(Message::parse(rest).map_err(plan::broken)?.0))?)
        };
        if !rest.is_empty() {
            let setup = Plan::new(Message::parse(rest).map_err(plan::broken)?.0);
            resctrl = setup.u32(kind::RESCTRL)?.unwrap_or(0);
        }
        let identity = Record::load(&entry)?.and_then(|record| record.init);
        let unrecorded = identity.is_none();
        let init = identity.and_then(|it| Some(Init { pid: it.pid, pidfd: it.open()? }));
        Ok(Self { store, id, entry, plan, cgroups, init, console: None, notify: None, resctrl, unrecorded })
    }

    /// Ends what still runs and removes all that was made. Goes on past failures, and tells the first one.
    /// What poststop hooks do wrong is `warn`ed of, and changes nothing (runtime-spec, lifecycle 13).
    pub fn destroy(mut self, warn: &mut dyn FnMut(&Error)) -> Result<()> {
        let locked = self.entry.lock();
        let killed = self.kill();
        let cgroups = self.remove_cgroups();
        trace::mark(trace::UNGROUPED);
        let network = self.disconnect();
        let groups = resctrl::remove(&self.plan, self.resctrl);
        let forgotten = self.store.remove(self.id, self.entry);
        trace::mark(trace::FORGOTTEN);
        let hooks = hooks::announce(hook::POSTSTOP, &self.plan, (b"stopped", 0), None, &mut |error| {
            warn(&error);
            Ok(())
        });
        locked.and(killed).and(cgroups).and(network).and(groups).and(forgotten).and(hooks)
    }

    /// The cgroups, with what still runs in them: nothing, when init took its whole pid namespace along. Unless the runtime was
    /// killed before it wrote down who init is.
    fn remove_cgroups(&mut self) -> Result<()> {
        let alone = self.plan.makes(libc::CLONE_NEWPID)?;
        let Some(cgroups) = &mut self.cgroups else { return Ok(()) };
        let emptied = if alone && !self.unrecorded { Ok(()) } else { cgroups.kill() };
        emptied.and(cgroups.destroy())
    }

    /// SIGKILL to init, and to its pid namespace with it; waits until it is gone.
    pub(super) fn kill(&mut self) -> Result<()> {
        let Some(init) = &self.init else {
            return Ok(());
        };
        match self.signal(libc::SIGKILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(Error::system("pidfd_send_signal", "init", errno)),
        }
        // Ours to reap when we started it; otherwise its parent does that, and we see it end.
        match waitpid(Pid::from_raw(init.pid), WaitOptions::empty()) {
            Ok(_) => Ok(()),
            Err(_) if init.ends(PATIENCE)? => Ok(()),
            Err(_) => Err(Error::refused("kill", "container init is still running")),
        }
    }
}

impl Init {
    /// Whether it ends in time, or has.
    fn ends(&self, patience: Timespec) -> Result<bool> {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        Ok(poll(&mut fds, Some(&patience)).context("poll", "init")? > 0)
    }
}

/// `delete`: removes a container that has stopped or was never started; with `force`, any, and what a killed runtime left.
pub fn delete(store: &Store, id: &CStr, force: bool, warn: &mut dyn FnMut(&Error)) -> Result<()> {
    let entry = store.locked(id)?;
    let container = match Container::restore(store, id, entry) {
        // A plan that was never written whole: there was nothing before it.
        Err(_) if force => return store.remove(id, store.entry(id)?),
        done => done?,
    };
    let status = if container.init.is_some() { container.status(None) } else { "stopped" };
    let ends = |init: &Init| !force && status == "running" && matches!(init.ends(GRACE), Ok(true));
    let stopped = matches!(status, "stopped" | "created") || container.init.as_ref().is_some_and(ends);
    if !(force || stopped) {
        let reason =
            format_args!("cannot delete container {} that is not stopped: {status}", crate::text::shown(id));
        return Err(Error::refused("delete", reason));
    }
    container.destroy(warn)
}
