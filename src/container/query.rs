//! What a container is doing, asked of the kernel.

use core::ffi::CStr;

use super::Container;
use super::record::Record;
use super::store::{GATE, GATE_NEW, Store};
use crate::cgroup::Cgroups;
use crate::error::{Error, Result};
use crate::oci::state::State;
use crate::plan::process::Annotation;
use crate::plan::root::Root;
use crate::plan::{Plan, kind};
use crate::wire::json::Writer;

/// What there is to tell of a container.
pub struct Summary<'a> {
    /// What the specification wants to know.
    pub state: State<'a>,
    /// Where its root is.
    pub rootfs: &'a [u8],
    /// RFC 3339; empty while it is being made.
    pub created: &'a str,
    /// The user who made it.
    pub owner: u32,
    plan: &'a Plan<'static>,
}

/// Looks at the container `id`, and hands what there is to tell to `show`.
pub fn look(store: &Store, id: &CStr, show: &mut dyn FnMut(&Summary<'_>) -> core::fmt::Result) -> Result<()> {
    let container = Container::load(store, id)?;
    let record = Record::load(&container.entry)?;
    let root = container.plan.one::<Root<'_>>()?;
    let summary = Summary {
        state: State {
            id: id.to_bytes(),
            status: container.status(record.as_ref())?.as_bytes(),
            pid: container.init.as_ref().map_or(0, |init| init.pid),
            bundle: container.plan.string(kind::BUNDLE)?.unwrap_or(c"").to_bytes(),
        },
        rootfs: root.map_or(&[], |root| root.path.to_bytes()),
        created: record.as_ref().map_or("", |record| &record.created),
        owner: container.entry.owner()?,
        plan: &container.plan,
    };
    show(&summary).map_err(|_| Error::refused("state", "not formatted"))
}

impl Summary<'_> {
    /// As runc's `state` and `list` write it.
    pub fn print(&self, owner: &str, writer: &mut Writer<'_>) -> core::fmt::Result {
        let annotations = self.plan.each::<Annotation<'_>>().map_while(Result::ok);
        let annotations = annotations.map(|it| (it.key.to_bytes(), it.value.to_bytes()));
        self.state.print(self.rootfs, self.created, annotations, owner, writer)
    }
}

impl Container<'_> {
    /// Its status in the words of runtime.md, and runc's `paused`.
    pub fn status(&self, record: Option<&Record>) -> Result<&'static str> {
        let is_there = |name| self.entry.find(name).map(|found| found.is_some());
        Ok(match (&self.init, record) {
            (Some(_), _) if self.is_frozen()? => "paused",
            (Some(_), _) if is_there(GATE)? => "created",
            (Some(_), _) if is_there(GATE_NEW)? => "creating",
            (Some(_), _) => "running",
            // Somebody holds the lock and has not come to the process yet.
            (None, None) if self.entry.is_locked() => "creating",
            _ => "stopped",
        })
    }

    pub(super) fn is_frozen(&self) -> Result<bool> {
        self.cgroups.as_ref().map_or(Ok(false), Cgroups::frozen)
    }
}
