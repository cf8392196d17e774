//! Kernel parameters of the container's namespaces.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::procfs;
use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::plan::namespace::Sysctl;
use crate::text::shown;

/// Writes them all, in their order.
pub fn apply(plan: &Plan<'_>, procfs: Option<&OwnedFd>) -> Result<()> {
    let mut parameters = plan.each::<Sysctl<'_>>().peekable();
    let (Some(procfs), true) = (procfs, parameters.peek().is_some()) else { return Ok(()) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let sys =
        rustix::fs::openat2(procfs, c"sys", flags, Mode::empty(), resolve).context("openat2", "/proc/sys")?;
    for parameter in parameters {
        let Sysctl { path, value } = parameter?;
        procfs::write(&sys, path, value.to_bytes(), ResolveFlags::NO_SYMLINKS)
            .map_err(|(op, errno)| Error::system(op, format_args!("/proc/sys/{}", shown(path)), errno))?;
    }
    Ok(())
}
