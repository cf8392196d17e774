//! What a container is doing, asked of the kernel.

use core::ffi::CStr;

use super::Init;
use super::record::Stored;
use super::store::{Entry, GATE, GATE_NEW, Store};
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
    /// RFC 3339; empty while it is being made.
    pub created: &'a str,
    /// The user who made it.
    pub owner: u32,
    plan: &'a Plan<'a>,
}

/// Looks at the container `id`, and hands what there is to tell to `show`. `room`: of [`super::record::room`].
pub fn look(
    store: &Store,
    id: &CStr,
    room: &mut [u8],
    show: &mut dyn FnMut(&Summary<'_>) -> core::fmt::Result,
) -> Result<()> {
    let (entry, Stored { plan, setup, record, owner }) = Stored::load(store, id, room)?;
    let init = record.as_ref().map_or(Ok(None), Init::of)?;
    // Who is recorded came after where its cgroups are.
    let cgroups = setup.filter(|_| init.is_some()).map(|setup| Cgroups::restore(&setup, Some("freezer")));
    let frozen = cgroups.map(|cgroups| cgroups?.frozen()).transpose()?;
    let summary = Summary {
        state: State {
            id: id.to_bytes(),
            status: status(&entry, frozen, record.is_some())?.as_bytes(),
            pid: init.map_or(0, |init| init.pid),
            bundle: plan.string(kind::BUNDLE)?.unwrap_or(c"").to_bytes(),
        },
        created: record.map_or("", |record| record.created.to_str().unwrap_or("")),
        owner,
        plan: &plan,
    };
    show(&summary).map_err(|_| Error::refused("state", "not formatted"))
}

/// The status in the words of runtime.md, and runc's `paused`. `frozen`: whether it is, of a container whose process is there.
pub(super) fn status(entry: &Entry, frozen: Option<bool>, recorded: bool) -> Result<&'static str> {
    let is_there = |name| entry.look(name).map(|found| found.is_some());
    Ok(match frozen {
        Some(true) => "paused",
        Some(false) if is_there(GATE)? => "created",
        Some(false) if is_there(GATE_NEW)? => "creating",
        Some(false) => "running",
        // Somebody holds the lock and has not come to the process yet.
        None if !recorded && entry.is_locked() => "creating",
        None => "stopped",
    })
}

impl Summary<'_> {
    /// As runc's `state` and `list` write it.
    pub fn print(&self, owner: &str, writer: &mut Writer<'_>) -> core::fmt::Result {
        let root = self.plan.one::<Root<'_>>().ok().flatten();
        let rootfs = root.map_or(&b""[..], |root| root.path.to_bytes());
        let annotations = self.plan.each::<Annotation<'_>>().map_while(Result::ok);
        let annotations = annotations.map(|it| (it.key.to_bytes(), it.value.to_bytes()));
        self.state.print(rootfs, self.created, annotations, owner, writer)
    }
}
