//! A container that stands still and goes on.

use core::ffi::CStr;

use super::Container;
use super::kill::not_running;
use super::store::Store;
use crate::cgroup::{Cgroups, Mode};
use crate::error::{Error, Result};
use crate::text::shown;

/// Freezes a container that runs, or that waits to be started. Locked: not what is just being started or killed, which would
/// then be waited for in vain.
pub fn pause(store: &Store, id: &CStr) -> Result<()> {
    let container = Container::locked(store, id)?;
    if container.init.is_none() || container.is_frozen()? {
        return Err(not_running(id));
    }
    container.freezable()?.freeze()
}

/// Thaws a container that is paused.
pub fn resume(store: &Store, id: &CStr) -> Result<()> {
    let container = Container::load(store, id)?;
    if container.init.is_none() || !container.is_frozen()? {
        return Err(Error::refused("container not paused", shown(id)));
    }
    container.freezable()?.thaw()
}

impl Container<'_> {
    pub(super) fn is_frozen(&self) -> Result<bool> {
        self.cgroups.as_ref().map_or(Ok(false), Cgroups::frozen)
    }

    fn freezable(&self) -> Result<&Cgroups> {
        self.cgroups
            .as_ref()
            .filter(|cgroups| cgroups.mode() != Mode::None)
            .ok_or_else(|| Error::refused("freeze", "the container has no cgroup of its own"))
    }
}
