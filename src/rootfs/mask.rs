//! What the container must not see or change: masked paths, read-only paths, a read-only root.
//!
//! Works inside the root, by descriptor: what was looked at is what is covered (CVE-2025-31133, CVE-2025-52881).

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::call;
use super::filesystem::Filesystem;
use super::mount::is_device_directory;
use crate::error::{Error, Result};
use crate::plan::mount::Mount;
use crate::plan::{self, Plan, kind};
use crate::sys::mount::{Attributes, Reach};
use crate::text::shown;

/// The last changes to the mounts: after the console (which may need a file in /dev) and the sysctls (in /proc/sys).
pub fn seal(plan: &Plan<'_>) -> Result<()> {
    let root: Option<plan::root::Root<'_>> = plan.one()?;
    for mount in plan.each::<Mount<'_>>() {
        let mount = mount?;
        if super::mount::late(&mount) && is_device_directory(mount.destination) {
            set_readonly(c"/dev")?;
        }
    }
    if root.is_some_and(|root| root.readonly) {
        set_readonly(c"/")?;
    }
    for path in plan.strings(kind::READONLY_PATH) {
        let path = path?;
        let Some(place) = find(path)? else { continue };
        let tree = call::copy(&place, Reach::Tree, path)?;
        call::set_attributes(&tree, Reach::Tree, &Attributes::READ_ONLY, path)?;
        call::attach(&tree, &place, path)?;
    }
    masked(plan)
}

/// Covers files with /dev/null, directories with one empty read-only tmpfs.
fn masked(plan: &Plan<'_>) -> Result<()> {
    let (mut null, mut nothing) = (None, None);
    for path in plan.strings(kind::MASKED_PATH) {
        let path = path?;
        let Some(place) = find(path)? else { continue };
        let stat = call::fstat(&place, path)?;
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let cover = match if directory { &nothing } else { &null } {
            // Named twice, perhaps by two names.
            Some(first) if call::fstat(first, path).is_ok_and(|first| same(&first, &stat)) => continue,
            Some(first) => call::copy(first, Reach::One, path)?,
            // Only what is mounted in our namespace can be copied: the first is the one that the others come from.
            None if directory => {
                call::attach(nothing.insert(nowhere(path, plan.string(kind::MOUNT_LABEL)?)?), &place, path)?;
                continue;
            }
            None => call::copy(null.insert(null_device()?), Reach::One, c"/dev/null")?,
        };
        call::attach(&cover, &place, path)?;
    }
    Ok(())
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// An empty read-only tmpfs over a directory.
pub(super) fn empty(path: &CStr) -> Result<()> {
    let Some(place) = find(path)? else { return Ok(()) };
    call::attach(&nowhere(path, None)?, &place, path)
}

/// An empty read-only tmpfs, mounted nowhere yet.
pub(super) fn nowhere(at: &CStr, label: Option<&CStr>) -> Result<OwnedFd> {
    let tmpfs = Filesystem::open(c"tmpfs", at)?;
    tmpfs.source(Some(c"tmpfs"))?;
    tmpfs.label(label)?;
    tmpfs.mount(
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC,
    )
}

/// The container's /dev/null, and really the null device: what covers must not be the container's choice (CVE-2025-31133).
fn null_device() -> Result<OwnedFd> {
    let null = call::open(CWD, c"/dev/null", OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = call::fstat(&null, c"/dev/null")?;
    let character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if character && stat.st_rdev == rustix::fs::makedev(1, 3) {
        Ok(null)
    } else {
        Err(Error::refused("/dev/null", "is not the null device"))
    }
}

/// What is at `path`; none if there is nothing.
fn find(path: &CStr) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::system("openat2", shown(path), errno)),
    }
}

fn set_readonly(path: &CStr) -> Result<()> {
    let Some(place) = find(path)? else { return Ok(()) };
    call::set_attributes(&place, Reach::One, &Attributes::READ_ONLY, path)
}
