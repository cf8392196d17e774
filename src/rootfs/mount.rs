//! `mounts`, one after the other: made detached, given their attributes, put in place.

use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::filesystem::{self, Filesystem};
use super::resolve::{self, Missing};
use super::{Root, call, cgroup, copy, pivot};
use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::plan::mount::{Mount, NO_BIND, RBIND};
use crate::plan::options::{NODEV, NOEXEC, NOSUID, NOSYMFOLLOW, RDONLY};
use crate::sys::mount::{self as sys, Attributes, Reach};
use crate::text::{short, shown};
use crate::{limits, trace};

/// All atime values share one field of the attributes; changing it means clearing it first (mount_setattr(2)).
const ATIME: u64 = libc::MOUNT_ATTR__ATIME;

/// `MOUNT_ATTR_NOSYMFOLLOW` as statfs(2) tells it.
const ST_NOSYMFOLLOW: u64 = 0x2000;

/// Files of procfs that may be covered by a mount, for they only tell numbers (lxcfs does it). Anything else
/// below /proc might be where we or a security module write to (CVE-2019-16884).
const PROC_FILES: &[&[u8]] = &[
    b"cpuinfo",
    b"diskstats",
    b"loadavg",
    b"meminfo",
    b"net/dev",
    b"slabinfo",
    b"stat",
    b"swaps",
    b"sys/crypto/fips_enabled",
    b"sys/kernel/ns_last_pid",
    b"uptime",
];

/// Read-only tmpfs mounts, still writable so that mount points can be made in them.
type Late = heapless::Vec<OwnedFd, { limits::LATE_MOUNTS }>;

/// What the runtime has prepared, if anything: the next of those mounts of the plan that are lent.
pub type Lent<'a> = &'a mut dyn FnMut() -> Result<Option<OwnedFd>>;

/// All mounts, in their order.
pub fn mounts(root: &Root<'_>, plan: &Plan<'_>, setup: &Plan<'_>, lent: Lent<'_>) -> Result<()> {
    let mut late_mounts = Late::new();
    for mount in plan.each::<Mount<'_>>() {
        let mount = mount?;
        one(root, &mount, setup, lent, &mut late_mounts)?;
        if mount.bind != NO_BIND && is_device_directory(mount.destination) {
            root.bound_devices.set(true);
        }
        trace::mark(trace::MOUNT);
    }
    late_mounts
        .iter()
        .try_for_each(|mount| call::set_attributes(mount, Reach::One, &Attributes::READ_ONLY, c"tmpfs"))
}

fn one(
    root: &Root<'_>,
    mount: &Mount<'_>,
    setup: &Plan<'_>,
    lent: Lent<'_>,
    late_mounts: &mut Late,
) -> Result<()> {
    if mount.remount {
        return remount(root, mount);
    }
    if mount.bind != NO_BIND {
        return bind(root, mount, lent);
    }
    let fstype = mount.fstype.unwrap_or(c"none");
    if matches!(fstype.to_bytes(), b"cgroup" | b"cgroup2") {
        return cgroup::mount(root, mount, setup);
    }
    if mount.data.is_some_and(|data| !filesystem::fits(data)) {
        return whole(root, mount, fstype);
    }
    let (place, made) = place(root, mount, None, fstype == c"proc")?;
    let tree = match new(mount, fstype, root.label, (&place, made), b"") {
        // The group `tty` of the usual `gid=5` need not be mapped in a user namespace.
        Err(error)
            if fstype == c"devpts"
                && error.errno() == Some(Errno::INVAL)
                && filesystem::has(mount.data, b"gid") =>
        {
            new(mount, fstype, root.label, (&place, made), b"gid")?
        }
        // A sysfs shows a network namespace, and belongs to its owner. Without one of its own, a container in a
        // user namespace gets the host's, unwritable throughout (CVE-2023-25809: cgroupfs is below it).
        Err(error) if fstype == c"sysfs" && error.errno() == Some(Errno::PERM) => {
            let tree = sys::clone_tree(CWD, c"/sys", Reach::Tree, false).context("open_tree", "/sys")?;
            let readonly = Attributes::new(mount.set & !ATIME | libc::MOUNT_ATTR_RDONLY, 0);
            call::set_attributes(&tree, Reach::Tree, &readonly, c"/sys")?;
            tree
        }
        tree => tree?,
    };
    if mount.copy_up && !made {
        copy::tree(&place, &tree).map_err(|error| error.within("tmpcopyup"))?;
    }
    close(root, &tree, mount)?;
    attach(&tree, mount, &place)?;
    // /dev waits longer, for its devices (see `seal`).
    if late(mount) && !is_device_directory(mount.destination) {
        late_mounts.push(tree).or_else(|tree| {
            call::set_attributes(&tree, Reach::One, &Attributes::READ_ONLY, mount.destination)
        })?;
    }
    Ok(())
}

/// A new filesystem, without one of its options, mounted nowhere yet.
fn new(
    mount: &Mount<'_>,
    fstype: &CStr,
    label: Option<&CStr>,
    (place, made): (&OwnedFd, bool),
    without: &[u8],
) -> Result<OwnedFd> {
    let filesystem = Filesystem::open(fstype, mount.destination)?;
    filesystem.source(mount.source)?;
    let readonly = if late(mount) { libc::MOUNT_ATTR_RDONLY } else { 0 };
    // One superblock serves all mounts of these in a namespace: read-only it would be for the next container, too.
    let shared = matches!(fstype.to_bytes(), b"proc" | b"sysfs" | b"mqueue");
    let superblock = if shared { mount.superblock & !libc::MS_RDONLY } else { mount.superblock };
    // MS_RDONLY and MOUNT_ATTR_RDONLY are the same bit.
    filesystem.superblock(superblock & !readonly, 0)?;
    if fstype == c"tmpfs" && !made && !filesystem::has(mount.data, b"mode") {
        // As the directory that it hides, so that /tmp stays 1777.
        let mode = call::fstat(place, mount.destination)?.st_mode & 0o7777;
        let text = short(format_args!("{mode:o}\0"));
        filesystem.string(c"mode", CStr::from_bytes_until_nul(text.as_bytes()).unwrap_or(c"755"))?;
    }
    mount.data.map_or(Ok(()), |data| filesystem.options(data, without))?;
    // Those of the kernel's own have one label for all; a label that podman put among the options is the same.
    if !shared && !filesystem::has(mount.data, b"context") {
        filesystem.label(label)?;
    }
    let set = mount.set & !mount.recursive_clear & !readonly | mount.recursive_set;
    filesystem.mount(set)
}

/// mount(2), for options that are too long for fsconfig(2). Directories only: its target is the working directory.
fn whole(root: &Root<'_>, mount: &Mount<'_>, fstype: &CStr) -> Result<()> {
    let at = shown(mount.destination);
    let (place, _) = place(root, mount, None, false)?;
    rustix::process::fchdir(&place).context("fchdir", &at)?;
    let flags = rustix::mount::MountFlags::from_bits_retain(mount.superblock as _);
    rustix::mount::mount(mount.source.unwrap_or(fstype), c".", fstype, flags, mount.data)
        .context("mount", &at)?;
    // It gives no descriptor of what it mounted, so this one time the path is looked up again.
    let tree = resolve::open(root.as_fd(), mount.destination, OFlags::empty(), ResolveFlags::empty())
        .context("openat2", &at)?;
    attributes(&tree, mount, 0)?;
    close(root, &tree, mount)?;
    propagation(&tree, mount)
}

fn bind(root: &Root<'_>, mount: &Mount<'_>, lent: Lent<'_>) -> Result<()> {
    let lent = if mount.is_lent(root.owns(libc::CLONE_NEWUSER)) { lent()? } else { None };
    if mount.idmap.is_some() && lent.is_none() {
        return Err(refused(mount.destination, "was not prepared outside"));
    }
    let source = mount
        .source
        .ok_or_else(|| Error::refused("mounts", format_args!("{}: no source", shown(mount.destination))))?;
    if mount.copy_symlink && copied_link(root, mount.destination, source)? {
        return Ok(());
    }
    let reach = if mount.bind == RBIND { Reach::Tree } else { Reach::One };
    let tree = match lent {
        Some(tree) => tree,
        None => {
            sys::clone_tree(CWD, source, reach, mount.source_nofollow).context("open_tree", shown(source))?
        }
    };
    let procfs = is_whole_procfs(&tree)?;
    let (place, _) = place(root, mount, Some(&tree), procfs)?;
    let implied = implied(&tree, mount);
    match attributes(&tree, mount, implied) {
        // Locked (mount_namespaces(7)), and nobody said that it should go: only the one that is never locked goes.
        Err(error) if error.errno() == Some(Errno::PERM) => {
            attributes(&tree, mount, implied & u64::from(NOSYMFOLLOW))?;
        }
        done => done?,
    }
    close(root, &tree, mount)?;
    attach(&tree, mount, &place)
}

/// Takes from a mount the devices on it, if nothing else does. Only where nodes are made here, and those of a devpts, stay open.
fn close(root: &Root<'_>, tree: &OwnedFd, mount: &Mount<'_>) -> Result<()> {
    let filled = matches!(mount.fstype.map(CStr::to_bytes), Some(b"tmpfs" | b"devpts"));
    if !root.nodev || filled && mount.bind == NO_BIND && !mount.remount && !mount.copy_up {
        return Ok(());
    }
    let closed = Attributes::new(libc::MOUNT_ATTR_NODEV, 0);
    call::set_attributes(tree, Reach::Tree, &closed, mount.destination)
}

/// What a bind mount loses without a word: as soon as one flag is named, set or cleared, the flags of the mount are those that
/// are named, as with runc; without any they are the source's. Access times are left alone, as mount(2) has it.
fn implied(tree: &OwnedFd, mount: &Mount<'_>) -> u64 {
    if mount.set | mount.clear == 0 {
        return 0;
    }
    // NOSYMFOLLOW, of Linux 5.14, is spoken of only where it is. A filesystem that does not answer has none.
    let nosymfollow = rustix::fs::fstatfs(tree).is_ok_and(|fs| fs.f_flags as u64 & ST_NOSYMFOLLOW != 0);
    let nosymfollow = if nosymfollow { NOSYMFOLLOW } else { 0 };
    u64::from(RDONLY | NOSUID | NODEV | NOEXEC | nosymfollow) & !mount.set
}

/// `copy-symlink`: makes the source's link again. False if the source is no link.
fn copied_link(root: &Root<'_>, destination: &CStr, source: &CStr) -> Result<bool> {
    let at = call::open(CWD, source, OFlags::PATH | OFlags::NOFOLLOW)?;
    let target = match resolve::link(&at, c"") {
        Ok(target) => target,
        Err(Errno::INVAL | Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(Error::system("readlink", shown(source), errno)),
    };
    let (directory, name) =
        resolve::parent(root.as_fd(), destination).context("openat2", shown(destination))?;
    match rustix::fs::symlinkat(target.as_cstr(), &directory, name.as_cstr()) {
        Err(Errno::EXIST)
            if resolve::link(&directory, name.as_cstr())
                .is_ok_and(|there| there.as_bytes() == target.as_bytes()) => {}
        done => done.context("symlinkat", shown(destination))?,
    }
    Ok(true)
}

/// Changes what is mounted at the destination.
fn remount(root: &Root<'_>, mount: &Mount<'_>) -> Result<()> {
    let at = mount.destination;
    let place = resolve::open(root.as_fd(), at, OFlags::empty(), ResolveFlags::empty())
        .context("openat2", shown(at))?;
    if mount.bind == NO_BIND && (mount.superblock | mount.superblock_clear != 0 || mount.data.is_some()) {
        let filesystem = Filesystem::pick(&place, at)?;
        filesystem.superblock(mount.superblock, mount.superblock_clear)?;
        mount.data.map_or(Ok(()), |data| filesystem.options(data, b""))?;
        filesystem.reconfigure()?;
    }
    attributes(&place, mount, 0)?;
    close(root, &place, mount)?;
    propagation(&place, mount)
}

/// Puts a finished mount in place.
pub(super) fn attach(tree: &OwnedFd, mount: &Mount<'_>, place: &OwnedFd) -> Result<()> {
    call::attach(tree, place, mount.destination)?;
    // Only now: below a shared mount it has just become shared.
    propagation(tree, mount)
}

fn propagation(tree: &OwnedFd, mount: &Mount<'_>) -> Result<()> {
    if mount.propagation == 0 {
        return Ok(());
    }
    pivot::propagate(tree, mount.propagation).context("mount_setattr", shown(mount.destination))
}

/// Sets and clears attributes, and clears the `implied` ones; what else is not named stays as it is.
fn attributes(tree: &OwnedFd, mount: &Mount<'_>, implied: u64) -> Result<()> {
    for (reach, set, clear) in [
        (Reach::One, mount.set, mount.clear | implied),
        (Reach::Tree, mount.recursive_set, mount.recursive_clear),
    ] {
        if set | clear != 0 {
            let clear = if (set | clear) & ATIME != 0 { clear | ATIME } else { clear };
            call::set_attributes(tree, reach, &Attributes::new(set, clear), mount.destination)?;
        }
    }
    Ok(())
}

/// Whether a mount becomes read-only only after its mount points and devices have been made in it.
pub(super) fn late(mount: &Mount<'_>) -> bool {
    let readonly = (mount.set | mount.superblock) & libc::MOUNT_ATTR_RDONLY != 0;
    let filled = mount.fstype == Some(c"tmpfs") || is_device_directory(mount.destination);
    readonly && filled && mount.bind == NO_BIND && !mount.remount
}

/// A descriptor of the destination, and whether it had to be made: a directory, or what `source` is. `procfs`: what comes
/// there is a whole procfs.
pub(super) fn place(
    root: &Root<'_>,
    mount: &Mount<'_>,
    source: Option<&OwnedFd>,
    procfs: bool,
) -> Result<(OwnedFd, bool)> {
    let at = mount.destination;
    let region = Region::of(at.to_bytes()).ok_or_else(|| refused(at, "must not contain \"..\""))?;
    if region == Region::Proc && !procfs {
        return Err(refused(at, "must be procfs"));
    }
    if region == Region::Root {
        return Err(refused(at, "is the rootfs itself"));
    }
    if region == Region::BelowProc {
        return Err(refused(at, "must not be inside /proc"));
    }
    // A link at /proc or /sys would have us trust whatever it points to (CVE-2023-27561).
    let fixed =
        region != Region::Other || matches!(mount.fstype.map(CStr::to_bytes), Some(b"proc" | b"sysfs"));
    let resolve = if fixed { ResolveFlags::NO_SYMLINKS } else { ResolveFlags::empty() };
    let flags = if mount.destination_nofollow { OFlags::NOFOLLOW } else { OFlags::empty() };
    match resolve::open(root.as_fd(), at, flags, resolve) {
        Ok(place) => {
            if region == Region::Other && is_in_procfs(root, &place)? {
                return Err(refused(at, "must not be inside /proc"));
            }
            Ok((place, false))
        }
        Err(Errno::NOENT) => {
            let missing = match source {
                Some(source) if !call::is_directory(source, mount.source.unwrap_or(at))? => Missing::File,
                _ => Missing::Directory,
            };
            let place = resolve::make(root.as_fd(), at, missing);
            Ok((place.context("mkdirat", shown(at))?, true))
        }
        Err(Errno::LOOP) if fixed => {
            Err(refused(at, "must be mounted on ordinary directory, not on a symbolic link"))
        }
        Err(errno) => Err(Error::system("openat2", shown(at), errno)),
    }
}

/// Where a destination lies, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    /// /proc itself.
    Proc,
    /// One of [`PROC_FILES`].
    ProcFile,
    /// Elsewhere below /proc.
    BelowProc,
    /// /sys itself.
    Sys,
    /// /, which only a remount can change.
    Root,
    Other,
}

impl Region {
    /// None if the path has `..` in it.
    fn of(path: &[u8]) -> Option<Self> {
        let mut components = components(path);
        if components.clone().any(|component| component == b"..") {
            return None;
        }
        let first = components.next();
        let mut rest = components.clone().peekable();
        let alone = rest.peek().is_none();
        Some(match first {
            Some(b"proc") if alone => Self::Proc,
            Some(b"proc") => {
                let known =
                    PROC_FILES.iter().any(|file| components.clone().eq(file.split(|byte| *byte == b'/')));
                if known { Self::ProcFile } else { Self::BelowProc }
            }
            Some(b"sys") if alone => Self::Sys,
            None => Self::Root,
            _ => Self::Other,
        })
    }
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|byte| *byte == b'/').filter(|component| !matches!(*component, b"" | b"."))
}

/// Whether a destination is /dev, however it is written.
pub(super) fn is_device_directory(path: &CStr) -> bool {
    components(path.to_bytes()).eq([b"dev".as_slice()])
}

#[cold]
fn refused(at: &CStr, reason: &str) -> Error {
    Error::refused("mount", format_args!("{}: {reason}", shown(at)))
}

/// Whether a link has led us into the container's /proc.
fn is_in_procfs(root: &Root<'_>, place: &OwnedFd) -> Result<bool> {
    if !is_procfs(place)? {
        return Ok(false);
    }
    let Ok(proc) = resolve::open(root.as_fd(), c"/proc", OFlags::empty(), ResolveFlags::empty()) else {
        return Ok(false);
    };
    Ok(call::fstat(place, c"/proc")?.st_dev == call::fstat(&proc, c"/proc")?.st_dev)
}

fn is_procfs(descriptor: &OwnedFd) -> Result<bool> {
    let filesystem = rustix::fs::fstatfs(descriptor).context("fstatfs", "mount")?;
    Ok(filesystem.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// Whether a tree is procfs from its root on (`PROC_ROOT_INO` is 1).
fn is_whole_procfs(tree: &OwnedFd) -> Result<bool> {
    Ok(is_procfs(tree)? && call::fstat(tree, c"/proc")?.st_ino == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_files_below_proc_may_be_covered() {
        assert_eq!(Region::of(b"/proc"), Some(Region::Proc));
        assert_eq!(Region::of(b"//proc/./"), Some(Region::Proc));
        assert_eq!(Region::of(b"/proc/net/dev"), Some(Region::ProcFile));
        assert_eq!(Region::of(b"/proc/sys/kernel/ns_last_pid/"), Some(Region::ProcFile));
        assert_eq!(Region::of(b"/proc/net"), Some(Region::BelowProc));
        assert_eq!(Region::of(b"/proc/uptime/x"), Some(Region::BelowProc));
        assert_eq!(Region::of(b"/proc/self/attr"), Some(Region::BelowProc));
        assert_eq!(Region::of(b"/process"), Some(Region::Other));
        assert_eq!(Region::of(b"/sys"), Some(Region::Sys));
        assert_eq!(Region::of(b"/sys/fs/cgroup"), Some(Region::Other));
        assert_eq!(Region::of(b"/."), Some(Region::Root));
    }

    #[test]
    fn a_destination_with_dot_dot_is_no_destination() {
        assert_eq!(Region::of(b"/x/../proc"), None);
        assert_eq!(Region::of(b"/.."), None);
        assert_eq!(Region::of(b"/..x"), Some(Region::Other));
    }

    #[test]
    fn dev_is_known_by_any_spelling() {
        assert!(is_device_directory(c"/dev"));
        assert!(is_device_directory(c"//dev/."));
        assert!(!is_device_directory(c"/dev/shm"));
    }
}
