//! Into the root: from the host's mounts, copied into a namespace of ours, to the container's alone.

use core::cell::Cell;
use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::{Root, call};
use crate::error::{Context, Error, Result};
use crate::limits;
use crate::plan::namespace::Namespace;
use crate::plan::{self, Plan, kind};
use crate::sys::mount::{self, Attributes, Reach};
use crate::text::shown;

/// Filesystem types of the kernel's own first root (statfs(2)): an initramfs is one or the other.
const RAMFS_MAGIC: u64 = 0x8584_58f6;
const TMPFS_MAGIC: u64 = 0x0102_1994;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Cuts our copy of the host's mounts off from the host's, as `linux.rootfsPropagation` has it, and makes the
/// container's root a mount of its own, or an `overlay` in its place.
pub fn isolate<'a>(plan: &Plan<'a>, overlay: Option<OwnedFd>, nodev: bool) -> Result<Root<'a>> {
    let root = config(plan)?;
    let mut namespaces = 0;
    for namespace in plan.each::<Namespace<'_>>() {
        namespaces |= namespace?.flag;
    }
    let path = call::open(CWD, root.path, DIRECTORY)?;
    let label = plan.string(kind::MOUNT_LABEL)?;
    let bound_devices = Cell::new(false);
    let mut root_of_container = Root { directory: path, namespaces, label, bound_devices, nodev };
    let ours = root_of_container.owns(libc::CLONE_NEWNS);
    if ours {
        let host = call::open(CWD, c"/", DIRECTORY)?;
        propagate(&host, early(root.propagation)).context("mount_setattr", "/")?;
    }
    if ours && !cut_off(root.propagation) {
        // A slave neither stands in pivot_root(2)'s way nor tells the host, and its copy, our root, is to be one.
        let kind = root.propagation & libc::MS_SLAVE as u32;
        let kind = if kind == 0 { libc::MS_PRIVATE as u32 } else { kind };
        detach_parent(&root_of_container.directory, kind).context("mount_setattr", shown(root.path))?;
    }
    let tree = match overlay {
        Some(overlay) => overlay,
        None => call::copy(&root_of_container.directory, Reach::Tree, root.path)?,
    };
    if nodev {
        call::set_attributes(&tree, Reach::Tree, &Attributes::new(libc::MOUNT_ATTR_NODEV, 0), root.path)?;
    }
    call::attach(&tree, &root_of_container.directory, root.path)?;
    if !ours {
        // The host's namespace gets this tree, which is its to unmount, and nobody else what is mounted in it.
        propagate(&tree, (libc::MS_PRIVATE | libc::MS_REC) as u32)
            .context("mount_setattr", shown(root.path))?;
    }
    root_of_container.directory = tree;
    Ok(root_of_container)
}

/// Makes the container's root ours, and lets go of the host's.
pub fn enter(root: Root<'_>, plan: &Plan<'_>) -> Result<()> {
    let config = config(plan)?;
    rustix::process::fchdir(&root).context("fchdir", shown(config.path))?;
    if !root.owns(libc::CLONE_NEWNS) {
        rustix::process::chroot(c".").context("chroot", shown(config.path))?;
        return rustix::process::chdir(c"/").context("chdir", "/");
    }
    let host = call::open(CWD, c"/", DIRECTORY)?;
    let pivoted = if config.no_pivot { Err(Errno::INVAL) } else { rustix::process::pivot_root(c".", c".") };
    match pivoted {
        Ok(()) => {
            // The old root now lies on top of the new one (pivot_root(2)). What is unmounted there must
            // stay mounted on the host.
            if !cut_off(config.propagation) {
                propagate(&host, libc::MS_SLAVE as u32 | libc::MS_REC as u32)
                    .context("mount_setattr", "old root")?;
            }
            rustix::mount::unmount(c".", UnmountFlags::DETACH).context("umount2", "old root")?;
        }
        // The kernel's first root can't be pivoted away (before Linux 7.0).
        Err(Errno::INVAL) if config.no_pivot || is_first(&host) => {
            if !cut_off(config.propagation) {
                propagate(&host, libc::MS_PRIVATE as u32).context("mount_setattr", "/")?;
            }
            cover(&root, &host, config.path)?;
        }
        Err(errno) => return Err(Error::system("pivot_root", shown(config.path), errno)),
    }
    rustix::process::chdir(c"/").context("chdir", "/")?;
    // Not before: what the host has would have changed, too. Slave or private it has been from the start, and what a
    // mount asked for itself stays.
    if config.propagation & (libc::MS_SHARED | libc::MS_UNBINDABLE) as u32 != 0 {
        propagate(&root, config.propagation).context("mount_setattr", "/")?;
    }
    Ok(())
}

/// Lays a mount of the kernel's own first root over it and goes there, for the machine's first process: from that,
/// [`enter`] can pivot away, and leaves nothing of the host's mounts behind.
pub fn leave_first() -> Result<()> {
    let first = call::open(CWD, c"/", DIRECTORY)?;
    if !is_first(&first) {
        return Ok(());
    }
    let over = call::copy(&first, Reach::Tree, c"/")?;
    call::attach(&over, &first, c"/")?;
    rustix::process::fchdir(&over).context("fchdir", "/")?;
    rustix::process::chroot(c".").context("chroot", "/")
}

fn config<'a>(plan: &Plan<'a>) -> Result<plan::root::Root<'a>> {
    plan.one()?.ok_or_else(|| Error::refused("plan", "no root"))
}

/// Moves the root over `/` and goes there. The host's mounts stay, covered, so those that would let a container
/// see or steer the host (and let a new user namespace mount procfs afresh) go first.
fn cover(root: &Root<'_>, host: &OwnedFd, path: &CStr) -> Result<()> {
    for name in [c"/proc", c"/sys"] {
        let Ok(there) = rustix::fs::openat(CWD, name, DIRECTORY, Mode::empty()) else { continue };
        // What is mounted below must not vanish on the host as well.
        match propagate(&there, (libc::MS_SLAVE | libc::MS_REC) as u32) {
            Ok(()) => {}
            // Nothing is mounted there.
            Err(Errno::INVAL) => continue,
            Err(errno) => return Err(Error::system("mount_setattr", shown(name), errno)),
        }
        match rustix::mount::unmount(name, UnmountFlags::DETACH) {
            Ok(()) => {}
            // Locked, because it came from a more privileged namespace (mount_namespaces(7)): hide it.
            Err(Errno::INVAL | Errno::PERM) => super::mask::empty(name)?,
            Err(errno) => return Err(Error::system("umount2", shown(name), errno)),
        }
    }
    match mount::attach(&root.directory, host) {
        // It was made on `/`, and lies there already.
        Ok(()) | Err(Errno::LOOP) => {}
        Err(errno) => return Err(Error::system("move_mount", shown(path), errno)),
    }
    rustix::process::chroot(c".").context("chroot", shown(path))
}

/// Whether this is the root that the kernel came up with.
fn is_first(host: &OwnedFd) -> bool {
    rustix::fs::fstatfs(host).is_ok_and(|fs| matches!(fs.f_type as u64, RAMFS_MAGIC | TMPFS_MAGIC))
}

/// Sets a propagation type (`MS_*`, with `MS_REC` for the whole tree).
pub(super) fn propagate(mount: impl AsFd, kind: u32) -> core::result::Result<(), Errno> {
    let rec = libc::MS_REC as u32;
    let reach = if kind & rec != 0 { Reach::Tree } else { Reach::One };
    mount::set_attributes(mount, reach, &Attributes::propagation(u64::from(kind & !rec)))
}

/// What `/` gets before anything is mounted.
fn early(propagation: u32) -> u32 {
    match propagation {
        0 => libc::MS_SLAVE as u32 | libc::MS_REC as u32,
        // From an unbindable mount nothing could be bound, not even the root: that comes at the end.
        kind if kind & libc::MS_UNBINDABLE as u32 != 0 => {
            libc::MS_PRIVATE as u32 | kind & libc::MS_REC as u32
        }
        kind => kind,
    }
}

/// Whether no mount of ours is a peer of the host's any more.
fn cut_off(propagation: u32) -> bool {
    let early = early(propagation);
    early & libc::MS_REC as u32 != 0 && early & libc::MS_SHARED as u32 == 0
}

/// Makes the mount that holds `directory` private, or a slave: pivot_root(2) wants it, and what we mount below must not
/// appear on the host. mount_setattr(2) takes only a mount's root, so go up until it does.
fn detach_parent(directory: &OwnedFd, kind: u32) -> core::result::Result<(), Errno> {
    let mut above: Option<OwnedFd> = None;
    for _ in 0..limits::PATH / 2 {
        let here = above.as_ref().unwrap_or(directory);
        match propagate(here, kind) {
            Err(Errno::INVAL) => above = Some(rustix::fs::openat(here, c"..", DIRECTORY, Mode::empty())?),
            answer => return answer,
        }
    }
    Err(Errno::INVAL)
}
