//! A root made of layers (overlayfs): directories that are only read, and one above them for what the container writes.
//!
//! The kernel is told the layers' descriptors, by way of /proc/self/fd: a path may have colons and commas in it, which separate
//! overlayfs's options, and be longer than fsconfig(2) takes. So the container's mountinfo does not tell it the host's paths.

use core::ffi::CStr;
use core::fmt::{Display, Write};

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chmodat, chownat};
use rustix::io::Errno;

use super::call;
use super::filesystem::Filesystem;
use crate::error::{Context, Error, Result};
use crate::limits;
use crate::plan::{Plan, kind};
use crate::text::{Short, short, shown};

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// The same for an ordinary user: in our namespaces, with attributes that are the user's.
pub fn make_at(place: &CStr, plan: &Plan<'_>) -> Result<OwnedFd> {
    make(plan, &call::open(CWD, place, DIRECTORY)?, true)
}

/// A detached mount of the plan's layers, with `upper` and `work` in `place`, made there. `users`: who asks has no privileges
/// over the host, whose `trusted` attributes overlayfs would use.
pub fn make(plan: &Plan<'_>, place: &OwnedFd, users: bool) -> Result<OwnedFd> {
    let mut layers = heapless::Vec::<OwnedFd, { limits::LAYERS }>::new();
    let mut lower = Short::new();
    for layer in plan.strings(kind::OVERLAY) {
        let layer = call::open(CWD, layer?, DIRECTORY)?;
        let before = if layers.is_empty() { "" } else { ":" };
        let told = write!(lower, "{before}{}", layer.as_raw_fd()).is_ok() && layers.push(layer).is_ok();
        if !told {
            return Err(Error::refused("overlay", "too many layers"));
        }
    }
    let [upper, work] = [directory(place, c"upper", layers.first())?, directory(place, c"work", None)?];
    // Its names are the descriptors' numbers.
    let here = call::open(CWD, c".", DIRECTORY)?;
    let numbers = call::open(CWD, c"/proc/self/fd", DIRECTORY)?;
    rustix::process::fchdir(&numbers).context("fchdir", "/proc/self/fd")?;
    let made = configure(&lower, upper.as_raw_fd(), work.as_raw_fd(), users, plan.string(kind::MOUNT_LABEL)?);
    rustix::process::fchdir(&here).context("fchdir", ".")?;
    made
}

fn configure(lower: &Short, upper: i32, work: i32, users: bool, label: Option<&CStr>) -> Result<OwnedFd> {
    let overlay = Filesystem::open(c"overlay", c"/")?;
    overlay.source(Some(c"overlay"))?;
    let directories: [(_, &dyn Display); 3] =
        [(c"lowerdir", lower), (c"upperdir", &upper), (c"workdir", &work)];
    for (key, value) in directories {
        let value = short(format_args!("{value}\0"));
        overlay.string(key, CStr::from_bytes_until_nul(value.as_bytes()).unwrap_or(c""))?;
    }
    if users {
        overlay.flag(c"userxattr")?;
    }
    overlay.label(label)?;
    overlay.mount(0)
}

/// A directory that is made, with mode and owner of the one that it lies on: as which it is seen.
fn directory(place: &OwnedFd, name: &CStr, below: Option<&OwnedFd>) -> Result<OwnedFd> {
    rustix::fs::mkdirat(place, name, Mode::RWXU).context("mkdir", shown(name))?;
    let directory = call::open(place.as_fd(), name, DIRECTORY | OFlags::NOFOLLOW)?;
    if let Some(below) = below {
        let stat = call::fstat(below, c"layer")?;
        let (uid, gid) = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
        match chownat(&directory, c"", uid, gid, AtFlags::EMPTY_PATH) {
            // Not ours to give away.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(errno) => return Err(Error::system("fchownat", shown(name), errno)),
        }
        // After the owner, whose change would take the set-id bits.
        chmodat(place, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())
            .context("fchmodat", shown(name))?;
    }
    Ok(directory)
}
