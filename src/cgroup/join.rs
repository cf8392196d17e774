//! Where a second process of the container goes.

use core::fmt::Write;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode as Permissions, OFlags, open};

use super::{Cgroups, Mode};
use crate::error::{Error, Result};
use crate::sys::fd::read_at;
use crate::text::{PathBuf, shown};
use crate::wire::cgroupfs::{list, memberships};

impl Cgroups {
    /// `[controller,controller:]path`: from now on the cgroup `path` below the container's, in the hierarchies of these
    /// controllers, or in all.
    pub fn descend(&mut self, given: &core::ffi::CStr) -> Result<()> {
        let refused = |reason| Error::refused("--cgroup", format_args!("{reason} in {}", shown(given)));
        let mut parts = given.to_bytes().splitn(2, |&byte| byte == b':');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let path = second.unwrap_or(first);
        if path.contains(&b':') || path.split(|&byte| byte == b'/').any(|name| name == b"..") {
            return Err(refused("bad sub cgroup path"));
        }
        let below = self.names.add(&[b"/", path])?;
        let Some(wanted) = second.map(|_| first) else {
            self.hierarchies.iter_mut().for_each(|hierarchy| hierarchy.below = below);
            return Ok(());
        };
        for controller in list(wanted) {
            let names = &self.names;
            let holds = |controllers| list(names.bytes(controllers)).any(|name| name == controller);
            match self.hierarchies.iter_mut().find(|hierarchy| holds(hierarchy.controllers)) {
                Some(hierarchy) => hierarchy.below = below,
                None => return Err(refused("unknown controller")),
            }
        }
        Ok(())
    }

    /// v2: the cgroup that the process `pid` is in, to join where the container's own refuses processes because it has
    /// children with controllers (cgroups(7), no internal processes): an init such as systemd has moved itself below.
    /// None where a place was asked for by name.
    pub fn directory_of(&self, pid: i32) -> Option<OwnedFd> {
        let hierarchy = self.entered().first().filter(|it| self.mode == Mode::V2 && it.below.end == 0)?;
        let mut path = PathBuf::new();
        write!(path, "/proc/{pid}/cgroup").ok()?;
        let mut buffer = [0; 8192];
        let text = read_at(CWD, path.as_cstr(), &mut buffer).ok()?;
        let own = memberships(text).find(|it| it.controllers.is_empty())?;
        path.truncate(0);
        path.push(self.names.bytes(hierarchy.mountpoint)).ok()?;
        path.push(own.path).ok()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(path.as_cstr(), flags, Permissions::empty()).ok()
    }
}
