//! The end of a container: its processes, its cgroups, its state, and the hooks that hear of it.

use nsenter::attr::{self, HEADER};
use nsenter::sync::Kind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use core::ffi::CStr;

use super::identity::Identity;
use super::query::status;
use super::record::{self, Stored};
use super::store::{Entry, MISSING, Store, missing};
use super::{Container, Init};
use crate::cgroup::{Cgroups, Mounted};
use crate::confine::resctrl;
use crate::error::{Context, Error, Result};
use crate::hooks;
use crate::plan::record::Record;
use crate::plan::{self, hook, kind};
use crate::text::PathBuf;
use crate::trace;

/// A message of nothing but its header.
const EMPTY: [u8; HEADER] = {
    let [a, b, c, d] = (HEADER as u32).to_ne_bytes();
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
};

/// How long a killed process may take to end.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// How long one may that `delete` finds running: its caller may have seen its last words, and runc is slower than its end is.
const GRACE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

impl<'a> Container<'a> {
    /// A container that an earlier process made, as far as it got.
    pub fn load(store: &'a Store, id: &'a CStr) -> Result<Self> {
        let (entry, stored) = Stored::load(store, id, record::room()?)?;
        Self::of(store, id, entry, stored)
    }

    /// The same, locked, to be changed. (A directory that was removed before it was ours has no plan.)
    pub fn locked(store: &'a Store, id: &'a CStr) -> Result<Self> {
        let entry = store.entry(id)?;
        entry.lock()?;
        Self::restore(store, id, entry)
    }

    pub(super) fn restore(store: &'a Store, id: &'a CStr, entry: Entry) -> Result<Self> {
        let stored = Stored::read(&entry, id, record::room()?)?;
        Self::of(store, id, entry, stored)
    }

    /// What is stored of it, come to life.
    fn of(store: &'a Store, id: &'a CStr, entry: Entry, stored: Stored<'a>) -> Result<Self> {
        let Stored { plan, setup, record, .. } = stored;
        let cgroups = match &setup {
            _ if plan.has(kind::CGROUP_MANAGER_DISABLED)? => None,
            Some(setup) => Some(Cgroups::restore(setup, None)?),
            None => {
                let mut cgroups = Cgroups::discover(Mounted::look())?;
                let missing = attr::Error { kind: kind::CGROUPS_PATH, fault: attr::Fault::Missing };
                cgroups.find(plan.string(kind::CGROUPS_PATH)?.ok_or_else(|| plan::broken(missing))?)?;
                Some(cgroups)
            }
        };
        let resctrl = setup.map_or(Ok(None), |setup| setup.u32(kind::RESCTRL))?.unwrap_or(0);
        let unrecorded = record.is_none();
        let init = record.map_or(Ok(None), |record| Init::of(&record))?;
        Ok(Self { init, resctrl, unrecorded, ..Self::new(store, id, entry, plan, cgroups) })
    }

    /// What can be told of a container whose plan is not one any more: its process, and where its cgroups were, or are by default.
    #[cold]
    fn salvage(store: &'a Store, id: &'a CStr, entry: Entry) -> Result<Self> {
        let stored = entry.read_plan(record::room()?);
        let stored = stored.and_then(|(stored, _)| plan::stored(stored, Kind::Plan as u16));
        let mut path = PathBuf::new();
        path.push(plan::DEFAULT_CGROUP).and_then(|()| path.push(id.to_bytes())).map_err(|_| missing(id))?;
        let known = stored.as_ref().ok().and_then(|(stored, _)| stored.string(kind::CGROUPS_PATH).ok()?);
        let mut cgroups = Cgroups::discover(Mounted::look())?;
        cgroups.find(known.unwrap_or(path.as_cstr()))?;
        let plan = plan::stored(&EMPTY, 0)?.0;
        Ok(Self { unrecorded: true, ..Self::new(store, id, entry, plan, Some(cgroups)) })
    }

    /// Ends what still runs and removes all that was made. Goes on past failures, and tells the first one: then the container stays
    /// known, so that it can be deleted again.
    /// What poststop hooks do wrong is `warn`ed of, and changes nothing (runtime-spec, lifecycle 13).
    pub fn destroy(mut self, warn: &mut dyn FnMut(&Error)) -> Result<()> {
        let locked = self.entry.lock();
        let killed = self.kill();
        let cgroups = self.remove_cgroups();
        trace::mark(trace::UNGROUPED);
        let network = self.disconnect();
        let groups = resctrl::remove(&self.plan, self.resctrl);
        locked.and(killed).and(cgroups).and(network).and(groups)?;
        self.store.remove(self.id, self.entry)?;
        trace::mark(trace::FORGOTTEN);
        hooks::announce(hook::POSTSTOP, &self.plan, (b"stopped", 0), None, &mut |error| {
            warn(&error);
            Ok(())
        })
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
    /// The process that is recorded, as long as it is there.
    pub(super) fn of(record: &Record<'_>) -> Result<Option<Self>> {
        let it = Identity { pid: record.pid as i32, start: record.start };
        Ok(it.open()?.map(|pidfd| Self { pid: it.pid, pidfd }))
    }

    /// Whether it ends in time, or has.
    fn ends(&self, patience: Timespec) -> Result<bool> {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        Ok(poll(&mut fds, Some(&patience)).context("poll", "init")? > 0)
    }
}

/// `delete`: removes a container that has stopped or was never started; with `force`, any, and what a killed runtime left.
pub fn delete(store: &Store, id: &CStr, force: bool, warn: &mut dyn FnMut(&Error)) -> Result<()> {
    let entry = store.entry(id)?;
    entry.lock()?;
    let stored = match Stored::read(&entry, id, record::room()?) {
        // There was nothing before the plan. (Not in a directory that somebody has removed before it was locked.)
        Err(error) if force && error.op() == MISSING && entry.is_there()? => return store.remove(id, entry),
        stored => stored,
    };
    let container = stored.and_then(|stored| Container::of(store, id, entry, stored));
    match container.and_then(|container| container.end(force, warn)) {
        // Not where it only could not be read this time: what runs would be forgotten.
        Err(error) if force && error.op() == plan::BROKEN => {
            Container::salvage(store, id, store.locked(id)?)?.destroy(warn)
        }
        done => done,
    }
}

impl Container<'_> {
    fn end(self, force: bool, warn: &mut dyn FnMut(&Error)) -> Result<()> {
        if let Some(init) = self.init.as_ref().filter(|_| !force) {
            let status = status(&self.entry, Some(self.is_frozen()?), true)?;
            let ended = status == "created" || status == "running" && matches!(init.ends(GRACE), Ok(true));
            if !ended {
                let id = crate::text::shown(self.id);
                let reason = format_args!("cannot delete container {id} that is not stopped: {status}");
                return Err(Error::refused("delete", reason));
            }
        }
        self.destroy(warn)
    }
}
