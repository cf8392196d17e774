//! What a container is doing, asked of the kernel.

use core::ffi::CStr;

use super::Container;
use super::record::Record;
use super::store::Store;
use crate::cgroup::Cgroups;
use crate::error::{Error, Result};
use crate::oci::state::State;
use crate::plan::kind;
use crate::plan::process::Annotation;
use crate::plan::root::Root;
use crate::wire::json::Writer;

/// Writes the state of the container `id` as runc's `state` does.
pub fn state(store: &Store, id: &CStr, writer: &mut Writer<'_>) -> Result<()> {
    let container = Container::load(store, id)?;
    let record = Record::load(&container.entry)?;
    let string = |kind| container.plan.string(kind).map(|text| text.unwrap_or(c"").to_bytes());
    let root = container.plan.one::<Root<'_>>()?;
    let state = State {
        id: id.to_bytes(),
        status: container.status(record.as_ref()),
        pid: container.init.as_ref().map_or(0, |init| init.pid),
        bundle: string(kind::BUNDLE)?,
    };
    let annotations = container.plan.each::<Annotation<'_>>().map_while(Result::ok);
    let printed = state.print(
        root.map_or(&[], |root| root.path.to_bytes()),
        record.as_ref().map_or("", |record| &record.created),
        annotations.map(|it| (it.key.to_bytes(), it.value.to_bytes())),
        "",
        writer,
    );
    printed.map_err(|_| Error::refused("state", "not formatted"))
}

impl Container<'_> {
    fn status(&self, record: Option<&Record>) -> &'static [u8] {
        match (&self.init, record) {
            (Some(_), _) if self.is_frozen() => b"paused",
            (Some(_), _) => b"running",
            // Somebody holds the lock and has not come to the process yet.
            (None, None) if self.entry.is_locked() => b"creating",
            _ => b"stopped",
        }
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.cgroups.as_ref().is_some_and(Cgroups::frozen)
    }
}
