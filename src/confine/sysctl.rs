//! Kernel parameters of the container's namespaces.
//!
//! They are written through a procfs of our own that is mounted nowhere, where nobody can put anything over a file or a symbolic
//! link in its way (CVE-2025-52881: a redirected write ended in /proc/sysrq-trigger).

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::plan::namespace::Sysctl;
use crate::text::shown;

/// `PROC_SUPER_MAGIC` (include/uapi/linux/magic.h).
const PROC_MAGIC: u64 = 0x9fa0;
/// The inode of a procfs's root (`PROC_ROOT_INO`, include/linux/proc_ns.h).
const PROC_ROOT: u64 = 1;

/// Writes them all, in their order.
pub fn apply(plan: &Plan<'_>) -> Result<()> {
    let mut parameters = plan.each::<Sysctl<'_>>().peekable();
    if parameters.peek().is_none() {
        return Ok(());
    }
    let sys = open()?;
    for parameter in parameters {
        let Sysctl { path, value } = parameter?;
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_XDEV
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let named = |op, errno| Error::system(op, format_args!("/proc/sys/{}", shown(path)), errno);
        let file = rustix::fs::openat2(&sys, path, flags, Mode::empty(), resolve)
            .map_err(|errno| named("openat2", errno))?;
        // One write: the kernel takes a value as a whole.
        rustix::io::write(&file, value.to_bytes()).map_err(|errno| named("write", errno))?;
    }
    Ok(())
}

/// The directory /proc/sys of a private procfs; of the one at /proc where the kernel does not give us one of our own (before
/// Linux 5.2; in a user namespace with the host's pid namespace, or with a /proc that has something mounted over it).
fn open() -> Result<OwnedFd> {
    let proc = match detached() {
        Ok(proc) => proc,
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => mounted()?,
        Err(errno) => return Err(Error::system("fsopen", "proc", errno)),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(&proc, c"sys", flags, Mode::empty(), resolve).context("openat2", "/proc/sys")
}

fn detached() -> rustix::io::Result<OwnedFd> {
    let proc = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&proc)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(&proc, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// The root of a procfs at /proc, and nothing else.
fn mounted() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let proc = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty()).context("openat", "/proc")?;
    let filesystem = rustix::fs::fstatfs(&proc).context("fstatfs", "/proc")?;
    let inode = rustix::fs::fstat(&proc).context("fstat", "/proc")?.st_ino;
    if filesystem.f_type as u64 == PROC_MAGIC && inode == PROC_ROOT {
        Ok(proc)
    } else {
        Err(Error::refused("sysctl", "/proc is not the root of a procfs"))
    }
}
