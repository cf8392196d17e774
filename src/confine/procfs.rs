//! A procfs of our own that is mounted nowhere, where nobody can put anything over a file or a symbolic link in its way
//! (CVE-2019-16884, CVE-2019-19921: a label written to a fake /proc; CVE-2025-52881: one that ended in /proc/sysrq-trigger).

use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Context, Error, Result};
use crate::plan::{Plan, kind};

/// `PROC_SUPER_MAGIC` (include/uapi/linux/magic.h).
const PROC_MAGIC: u64 = 0x9fa0;
/// The inode of a procfs's root (`PROC_ROOT_INO`, include/linux/proc_ns.h).
const PROC_ROOT: u64 = 1;

/// Its root, if the plan has anything to write there; the one at /proc where the kernel does not give us one of our own (in a
/// user namespace with the host's pid namespace, or to an ordinary user). So it is opened while that is still the host's.
pub fn open(plan: &Plan<'_>) -> Result<Option<OwnedFd>> {
    let mut wanted = false;
    for kind in [kind::SYSCTL, kind::APPARMOR_PROFILE, kind::SELINUX_LABEL] {
        wanted |= plan.has(kind)?;
    }
    if !wanted {
        return Ok(None);
    }
    match detached() {
        Ok(procfs) => Ok(Some(procfs)),
        Err(Errno::PERM | Errno::ACCESS) => mounted().map(Some),
        Err(errno) => Err(Error::system("fsopen", "proc", errno)),
    }
}

fn detached() -> rustix::io::Result<OwnedFd> {
    let procfs = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&procfs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&procfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// The root of a procfs at /proc, and nothing else.
fn mounted() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let procfs = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty()).context("openat", "/proc")?;
    let filesystem = rustix::fs::fstatfs(&procfs).context("fstatfs", "/proc")?;
    let inode = rustix::fs::fstat(&procfs).context("fstat", "/proc")?.st_ino;
    if filesystem.f_type as u64 == PROC_MAGIC && inode == PROC_ROOT {
        Ok(procfs)
    } else {
        Err(Error::refused("open", "/proc is not the root of a procfs"))
    }
}

/// One write to a file below `directory`, for the kernel takes a value as a whole. A failure comes with the call's name.
pub fn write(
    directory: impl AsFd,
    path: &CStr,
    value: &[u8],
    resolve: ResolveFlags,
) -> core::result::Result<(), (&'static str, Errno)> {
    let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
        .map_err(|errno| ("openat2", errno))?;
    rustix::io::write(&file, value).map(drop).map_err(|errno| ("write", errno))
}
