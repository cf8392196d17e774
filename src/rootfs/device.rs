//! Device nodes and the links in /dev, all relative to the descriptor of a directory inside the root (CVE-2026-41579).

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid};
use rustix::io::Errno;

use super::{Root, call, resolve};
use crate::error::{Context, Error, Result};
use crate::plan::Plan;
use crate::plan::device::Device;
use crate::sys::mount::{self as sys, Reach};
use crate::text::shown;

/// The links that a process expects in /dev, as the OCI specification lists them, and `core`, as runc makes it.
const LINKS: &[(&CStr, &CStr)] = &[
    (c"/proc/self/fd", c"fd"),
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
    (c"/proc/kcore", c"core"),
];

/// What ptmx is in a container: the one of its own devpts.
const PTMX: &CStr = c"pts/ptmx";

/// Makes the nodes and links, after [`mounts`](super::mounts). A /dev that is bound from outside is taken as it is.
pub fn devices(root: &Root<'_>, plan: &Plan<'_>) -> Result<()> {
    if root.bound_devices.get() {
        return Ok(());
    }
    let dev = resolve::directory(root.as_fd(), c"/dev").context("openat2", "/dev")?;
    plan.each::<Device<'_>>().try_for_each(|device| node(root, &dev, &device?))?;
    for &(target, name) in LINKS {
        match rustix::fs::symlinkat(target, &dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::system("symlinkat /dev", shown(name), errno)),
        }
    }
    // A node that the image has there would be the host's.
    match rustix::fs::symlinkat(PTMX, &dev, c"ptmx") {
        Err(Errno::EXIST) => rustix::fs::unlinkat(&dev, c"ptmx", AtFlags::empty())
            .and_then(|()| rustix::fs::symlinkat(PTMX, &dev, c"ptmx")),
        done => done,
    }
    .context("symlinkat", "/dev/ptmx")
}

/// One node.
fn node(root: &Root<'_>, dev: &OwnedFd, device: &Device<'_>) -> Result<()> {
    let path = device.path.to_bytes_with_nul();
    if path == b"/dev/ptmx\0" {
        return Ok(());
    }
    let plain = path
        .strip_prefix(b"/dev/")
        .filter(|name| !name.contains(&b'/') && !matches!(*name, b"\0" | b".\0" | b"..\0"));
    if let Some(name) = plain.and_then(|name| CStr::from_bytes_with_nul(name).ok()) {
        return make(dev.as_fd(), name, device);
    }
    let (directory, name) =
        resolve::parent(root.as_fd(), device.path).context("openat2", shown(device.path))?;
    make(directory.as_fd(), name.as_cstr(), device)
}

fn make(directory: BorrowedFd<'_>, name: &CStr, device: &Device<'_>) -> Result<()> {
    let kind = FileType::from_raw_mode(device.file_type);
    let mode = Mode::from_raw_mode(device.mode & 0o7777);
    let number = number(device);
    match rustix::fs::mknodat(directory, name, kind, mode, number) {
        // Owner and mode as inside: root's is what it has been made with, but for what chown(2) takes away.
        Ok(()) if device.uid | device.gid == 0 => Ok(()),
        Ok(()) => {
            let owner = (Some(Uid::from_raw(device.uid)), Some(Gid::from_raw(device.gid)));
            rustix::fs::chownat(directory, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
                .context("fchownat", shown(device.path))
        }
        Err(Errno::EXIST) => {
            let there = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .context("stat", shown(device.path))?;
            if is(&there, device) {
                return Ok(());
            }
            // An empty file is what a bind of the device has left behind in a root that was used before.
            if FileType::from_raw_mode(there.st_mode) == FileType::RegularFile && there.st_size == 0 {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let place = rustix::fs::openat(directory, name, flags, Mode::empty())
                    .context("open", shown(device.path))?;
                return bind(&place, device);
            }
            Err(Error::system("mknodat", shown(device.path), Errno::EXIST))
        }
        // A user namespace may not make nodes, nor may a process without CAP_MKNOD: then it is the host's node.
        Err(Errno::PERM) => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let place =
                rustix::fs::openat(directory, name, flags, mode).context("open", shown(device.path))?;
            bind(&place, device)
        }
        Err(errno) => Err(Error::system("mknodat", shown(device.path), errno)),
    }
}

/// Binds the host's node of the same path, if it is the same device.
fn bind(place: &OwnedFd, device: &Device<'_>) -> Result<()> {
    let host = call::open(CWD, device.path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = call::fstat(&host, device.path)?;
    if !is(&stat, device) {
        return Err(Error::refused(
            "devices",
            format_args!("{} is another device on the host", shown(device.path)),
        ));
    }
    let tree = call::copy(&host, Reach::One, device.path)?;
    call::attach(&tree, place, device.path)
}

fn number(device: &Device<'_>) -> u64 {
    rustix::fs::makedev(device.major, device.minor)
}

fn is(stat: &Stat, device: &Device<'_>) -> bool {
    let kind = FileType::from_raw_mode(device.file_type);
    FileType::from_raw_mode(stat.st_mode) == kind
        && (kind == FileType::Fifo || stat.st_rdev == number(device))
}

/// Binds the terminal over /dev/console, which is made when missing and never followed (CVE-2025-52565).
pub fn console(slave: BorrowedFd<'_>) -> Result<()> {
    const AT: &str = "/dev/console";
    let stat = rustix::fs::fstat(slave).context("fstat", "terminal")?;
    // The majors of Unix98 slaves (Documentation/admin-guide/devices.txt).
    let pty = (136..=143).contains(&rustix::fs::major(stat.st_rdev));
    if !pty || FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice {
        return Err(Error::refused(AT, "the terminal is not a pseudoterminal"));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dev = rustix::fs::openat2(CWD, c"/dev", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        .context("openat2", "/dev")?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = match rustix::fs::openat(&dev, c"console", flags, Mode::from_raw_mode(0o620)) {
        // Not opened, which could do something to a real console, and not through a link.
        Err(Errno::EXIST) => {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            rustix::fs::openat2(&dev, c"console", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        }
        place => place,
    }
    .context("open", AT)?;
    let tree = sys::clone_tree(slave, c"", Reach::One, false).context("open_tree", AT)?;
    call::attach(&tree, &place, c"/dev/console")
}
