//! The directory that the process starts in.
//!
//! It is opened, gone to by descriptor, and then asked where it is: a path such as /proc/self/fd/7/../.. must not lead to a
//! directory of the host that some descriptor still holds (CVE-2024-21626).

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::limits;
use crate::sys::process;
use crate::text::{PathBuf, shown};

/// What `process.cwd` made by us looks like: runc's mode for it.
const MODE: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);

/// Goes there as root, who can go almost anywhere. `false` where it is the user who may, not root: a home directory on NFS or FUSE.
pub fn enter_as_root(path: &CStr, create: bool) -> Result<bool> {
    match enter(path, create) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(Errno::ACCESS) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Goes there; `create`: makes it when it is missing.
#[inline(never)]
pub fn enter(path: &CStr, create: bool) -> Result<()> {
    let directory = match open(path) {
        Err(Errno::NOENT) if create => make(path),
        other => other,
    };
    let gone = directory.and_then(rustix::process::fchdir);
    gone.context("process.cwd", shown(path))?;
    let mut buffer = [0; limits::PATH];
    let here = process::getcwd(&mut buffer).context("getcwd", shown(path))?;
    // The kernel says `(unreachable)` first.
    if here.to_bytes().first() == Some(&b'/') {
        Ok(())
    } else {
        Err(Error::refused("process.cwd", format_args!("{} is outside of the container's root", shown(path))))
    }
}

fn open(path: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

/// Makes what is missing of the path, each directory by its name in one that was opened (CVE-2024-45310).
fn make(path: &CStr) -> rustix::io::Result<OwnedFd> {
    let mut done = PathBuf::from_bytes(b"/").map_err(|_| Errno::NAMETOOLONG)?;
    let mut here = open(done.as_cstr())?;
    for name in path.to_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        done.join(name).map_err(|_| Errno::NAMETOOLONG)?;
        here = match open(done.as_cstr()) {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(&here, name, MODE) {
                    // Made by somebody else meanwhile, or a link that leads nowhere, which the next line finds out.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
                open(done.as_cstr())?
            }
            other => other?,
        };
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf as StdPath;

    fn scratch(name: &str) -> StdPath {
        let path = std::env::temp_dir().join(std::format!("cwd-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn c(path: &std::path::Path) -> CString {
        CString::new(path.as_os_str().as_bytes()).unwrap()
    }

    #[test]
    fn missing_directories_are_made_one_below_the_other() {
        let top = scratch("make");
        let wanted = top.join("a//b/c");
        make(&c(&wanted)).unwrap();
        assert!(wanted.is_dir());
        std::fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn a_link_on_the_way_is_followed_and_one_to_nowhere_is_an_error() {
        let top = scratch("link");
        std::fs::create_dir(top.join("real")).unwrap();
        std::os::unix::fs::symlink("real", top.join("link")).unwrap();
        std::os::unix::fs::symlink("absent", top.join("dangling")).unwrap();
        make(&c(&top.join("link/new"))).unwrap();
        assert!(top.join("real/new").is_dir());
        assert_eq!(make(&c(&top.join("dangling/new"))).unwrap_err(), Errno::NOENT);
        std::fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn a_magic_link_is_not_followed() {
        assert_eq!(open(c"/proc/self/cwd").unwrap_err(), Errno::LOOP);
    }
}
