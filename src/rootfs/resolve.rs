//! Paths inside the container's root, each resolved once, by descriptor.
//!
//! The image and whoever shares its volumes may swap any component for a symbolic link while we look. So every
//! look-up is openat2(2) with `RESOLVE_IN_ROOT` from the root's descriptor (links and `..` cannot leave it,
//! CVE-2021-30465), and what is missing is made one component at a time, relative to the descriptor of its
//! directory (CVE-2024-45310).

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::text::PathBuf;

/// Symbolic links followed by hand before giving up, as many as the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

/// What is made where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Directory,
    File,
}

/// An `O_PATH` descriptor of what is at `path` inside `root`.
pub fn open(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: something was renamed or mounted somewhere while `..` was being resolved; openat2(2) says try again.
    for _ in 0..128 {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

/// The directory at `path`, made where it is missing, parents too.
pub fn directory(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    match open(root, path, OFlags::DIRECTORY, ResolveFlags::empty()) {
        Err(Errno::NOENT) => make(root, path, Missing::Directory),
        answer => answer,
    }
}

/// Makes `path`, which is not there: an empty file or a directory, and all directories above it.
///
/// A dangling link at its end, or on the way, is followed inside the root and its target made: images
/// have `/etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf`.
pub fn make(root: BorrowedFd<'_>, path: &CStr, missing: Missing) -> Result<OwnedFd, Errno> {
    let mut path = PathBuf::from_bytes(path.to_bytes()).map_err(|_| Errno::NAMETOOLONG)?;
    for _ in 0..LINKS {
        let len = path.as_bytes().iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        path.truncate(len);
        let (directory, existing) = deepest(root, &path)?;
        let (there, rest) = path.as_bytes().split_at_checked(existing).ok_or(Errno::INVAL)?;
        match descend(directory, rest, missing)? {
            Step::Made(descriptor) => return Ok(descriptor),
            Step::Link { target, before, after } => path = detour(there, before, &target, after)?,
        }
    }
    Err(Errno::LOOP)
}

/// The deepest directory of `path` that exists, and how many bytes of `path` name it.
fn deepest(root: BorrowedFd<'_>, path: &PathBuf) -> Result<(OwnedFd, usize), Errno> {
    let mut prefix = path.clone();
    loop {
        let end = prefix.as_bytes().iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        prefix.truncate(end);
        if end == 0 {
            return open(root, c"/", OFlags::DIRECTORY, ResolveFlags::empty()).map(|root| (root, 0));
        }
        match open(root, prefix.as_cstr(), OFlags::DIRECTORY, ResolveFlags::empty()) {
            Ok(directory) => return Ok((directory, end)),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// How far [`descend`] came.
#[allow(clippy::large_enum_variant)] // There is no heap to put the larger one in.
enum Step<'p> {
    /// To the end.
    Made(OwnedFd),
    /// To a link: its target, and the path's components before and after it.
    Link { target: PathBuf, before: &'p [u8], after: &'p [u8] },
}

/// Makes the components of `rest` one below the other, starting in `directory`. Nothing that appears
/// meanwhile is followed.
fn descend(mut directory: OwnedFd, rest: &[u8], missing: Missing) -> Result<Step<'_>, Errno> {
    let (mut done, mut name) = (0, PathBuf::new());
    loop {
        let (before, ahead) = rest.split_at_checked(done).ok_or(Errno::INVAL)?;
        let start = ahead.iter().position(|byte| *byte != b'/').unwrap_or(ahead.len());
        let ahead = ahead.get(start..).unwrap_or_default();
        let end = ahead.iter().position(|byte| *byte == b'/').unwrap_or(ahead.len());
        let (component, after) = ahead.split_at_checked(end).ok_or(Errno::INVAL)?;
        match component {
            b"" => return Ok(Step::Made(directory)),
            b"." => {
                done += start + end;
                continue;
            }
            // Below a directory that is not there, `..` has no meaning that we could make.
            b".." => return Err(Errno::NOENT),
            _ => {}
        }
        name.truncate(0);
        name.push(component).map_err(|_| Errno::NAMETOOLONG)?;
        let last = after.iter().all(|byte| *byte == b'/');
        let made = if last && missing == Missing::File {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&directory, name.as_cstr(), flags, Mode::from_raw_mode(0o644))
        } else {
            subdirectory(&directory, name.as_cstr(), Mode::from_raw_mode(0o755))
        };
        match made {
            Ok(descriptor) if last => return Ok(Step::Made(descriptor)),
            Ok(descriptor) => directory = descriptor,
            Err(errno @ (Errno::EXIST | Errno::NOTDIR)) => {
                return match link(&directory, name.as_cstr()) {
                    Ok(target) => Ok(Step::Link { target, before, after }),
                    Err(_) => Err(errno),
                };
            }
            Err(errno) => return Err(errno),
        }
        done += start + end;
    }
}

/// mkdirat(2), and a descriptor of what is there then, if it is a directory.
fn subdirectory(directory: &OwnedFd, name: &CStr, mode: Mode) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(directory, name, mode) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

/// readlinkat(2).
#[inline(never)]
pub fn link(directory: &OwnedFd, name: &CStr) -> Result<PathBuf, Errno> {
    let mut buffer = [0; crate::limits::PATH];
    let len = rustix::fs::readlinkat_raw(directory, name, &mut buffer)?;
    // Filled to the brim, it may have been cut.
    let text = buffer.get(..len).filter(|_| len < buffer.len()).ok_or(Errno::NAMETOOLONG)?;
    PathBuf::from_bytes(text).map_err(|_| Errno::INVAL)
}

/// The path that a link makes of `there/before/LINK/after`.
fn detour(there: &[u8], before: &[u8], target: &PathBuf, after: &[u8]) -> Result<PathBuf, Errno> {
    let mut path = PathBuf::new();
    let mut build = || {
        if !target.as_bytes().starts_with(b"/") {
            path.push(there)?;
            path.push(before)?;
            path.push(b"/")?;
        }
        path.push(target.as_bytes())?;
        path.push(after)
    };
    build().map_err(|_| Errno::NAMETOOLONG)?;
    Ok(path)
}

/// The directory that `path` is in, made where it is missing, and the last component.
pub fn parent(root: BorrowedFd<'_>, path: &CStr) -> Result<(OwnedFd, PathBuf), Errno> {
    let path = path.to_bytes();
    let len = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let path = path.get(..len).unwrap_or_default();
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (above, name) = path.split_at_checked(start).ok_or(Errno::INVAL)?;
    if matches!(name, b"" | b"." | b"..") {
        return Err(Errno::INVAL);
    }
    let path = |bytes| PathBuf::from_bytes(bytes).map_err(|_| Errno::NAMETOOLONG);
    Ok((directory(root, path(if above.is_empty() { b"/" } else { above })?.as_cstr())?, path(name)?))
}
