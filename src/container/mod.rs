//! One container's life, seen from outside.

pub mod attend;
mod child;
pub mod config;
pub mod converse;
pub mod destroy;
pub mod events;
pub mod exec;
pub mod gate;
pub mod id;
pub mod identity;
pub mod kill;
pub mod launch;
mod lease;
mod lend;
mod listener;
mod names;
pub mod notify;
pub mod pause;
pub mod pid_file;
pub mod processes;
pub mod query;
pub mod record;
pub mod socket;
pub mod store;
mod tree;
pub mod update;

use core::ffi::CStr;

use rustix::fd::OwnedFd;

use crate::cgroup::Cgroups;
use crate::plan::Plan;
use notify::Notify;
use store::{Entry, Store};

/// A container that this process makes, attends or removes.
pub struct Container<'a> {
    store: &'a Store,
    id: &'a CStr,
    entry: Entry,
    plan: Plan<'a>,
    cgroups: Option<Cgroups>,
    init: Option<Init>,
    /// The master side of its terminal.
    pub console: Option<OwnedFd>,
    /// Which groups of resctrl were made for it.
    resctrl: u32,
    /// Nobody has written down who its first process is.
    unrecorded: bool,
    /// What is stored of it, as long as there is more to come.
    file: Option<OwnedFd>,
    /// Hears of its readiness.
    notify: Option<Notify>,
}

/// Its first process.
pub struct Init {
    /// In our pid namespace.
    pub pid: i32,
    /// The same, for good.
    pub pidfd: OwnedFd,
}

impl<'a> Container<'a> {
    /// Of which no more than its plan and its cgroups is known.
    fn new(store: &'a Store, id: &'a CStr, entry: Entry, plan: Plan<'a>, cgroups: Option<Cgroups>) -> Self {
        let (init, console, file, notify) = (None, None, None, None);
        Self { store, id, entry, plan, cgroups, init, console, resctrl: 0, unrecorded: false, file, notify }
    }

    /// The first process, as long as the container has one.
    pub fn init(&self) -> Option<&Init> {
        self.init.as_ref()
    }
}
