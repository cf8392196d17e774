//! One container's life, seen from outside.

pub mod attend;
pub mod config;
pub mod destroy;
pub mod id;
pub mod identity;
pub mod launch;
pub mod pid_file;
pub mod query;
pub mod record;
pub mod store;

use core::ffi::CStr;

use rustix::fd::OwnedFd;

use crate::cgroup::Cgroups;
use crate::error::{Context, Error, Result};
use crate::oci::state::State;
use crate::plan::process::Annotation;
use crate::plan::{Plan, kind};
use crate::{limits, sys, text};
use store::{Entry, Store};

/// A container that this process makes, attends or removes.
pub struct Container<'a> {
    store: &'a Store,
    id: &'a CStr,
    entry: Entry,
    plan: Plan<'static>,
    cgroups: Option<Cgroups>,
    init: Option<Init>,
    /// The master side of its terminal.
    pub console: Option<OwnedFd>,
}

/// Its first process.
pub struct Init {
    /// In our pid namespace.
    pub pid: i32,
    /// The same, for good.
    pub pidfd: OwnedFd,
}

impl Container<'_> {
    /// The first process, as long as the container has one.
    pub fn init(&self) -> Option<&Init> {
        self.init.as_ref()
    }

    /// The State object that hooks get.
    fn state_for_hooks(&self, status: &[u8], pid: i32) -> Result<&'static [u8]> {
        let memory = sys::memory::anonymous(limits::PLAN).context("mmap", "state")?;
        let mut out = text::Into::new(memory);
        let string = |kind| Ok::<_, Error>(self.plan.string(kind)?.unwrap_or(c"").to_bytes());
        let state = State { id: self.id.to_bytes(), status, pid, bundle: string(kind::BUNDLE)? };
        let annotations = self.plan.each::<Annotation<'_>>().map_while(Result::ok);
        state
            .write(annotations.map(|it| (it.key.to_bytes(), it.value.to_bytes())), &mut out)
            .map_err(|_| Error::refused("state", "longer than its limit"))?;
        Ok(out.finish())
    }
}
