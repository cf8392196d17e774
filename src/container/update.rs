//! New limits for a container that lives. The stored plan stays: it says what the container was made of.

use core::ffi::CStr;

use nsenter::attr::{Message, Writer};
use nsenter::sync::Kind;

use super::Container;
use super::kill::not_running;
use super::store::Store;
use crate::cgroup::Mode;
use crate::confine::resctrl;
use crate::error::{Context, Error, Result};
use crate::plan::resources::IntelRdt;
use crate::plan::{self, Plan};
use crate::wire::json::Document;
use crate::{limits, sys};

/// Writes the limits that `resources`, a `linux.resources` object, names; those it does not name stay. Device rules are passed
/// over: whatever was granted to the running container since (a GPU's driver does that) would be lost. `schemata` are lines for its group in resctrl.
pub fn update(store: &Store, id: &CStr, resources: &[u8], schemata: &CStr) -> Result<()> {
    let container = Container::load(store, id)?;
    if container.init.is_none() {
        return Err(not_running(id));
    }
    let document = Document::parse("resources", resources)?;
    let memory = sys::memory::anonymous(limits::PLAN + plan::translate::SCRATCH).context("mmap", "plan")?;
    let (memory, scratch) = memory.split_at_mut(limits::PLAN);
    let writer = Writer::new(memory, Kind::Plan as u16);
    let message = plan::translate::resources(&document, writer, scratch)?;
    let plan = Plan::new(Message::parse(message).map_err(plan::broken)?.0);
    if !schemata.is_empty() {
        let rdt = container.plan.one::<IntelRdt<'_>>()?;
        let rdt =
            rdt.ok_or_else(|| Error::refused("update", "the container was made without linux.intelRdt"))?;
        resctrl::write(&rdt, schemata)?;
    }
    match container.cgroups.as_ref().filter(|cgroups| cgroups.mode() != Mode::None) {
        Some(cgroups) => cgroups.apply(&plan),
        None => Err(Error::refused("update", "the container has no cgroup of its own")),
    }
}
