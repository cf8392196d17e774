//! This program's own file, in a form that nobody can write to: what the child executes.
//!
//! A process in a container may open /proc/PID/exe of the runtime's stages, and through it the file itself.
//! Were that the host's file, root in the container could overwrite it, and the host's next call would run
//! what was written (CVE-2019-5736).

use rustix::fd::OwnedFd;
use rustix::fs::{self, CWD, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use super::mount::{Attributes, Reach, clone_tree, set_attributes};

const EXE: &core::ffi::CStr = c"/proc/self/exe";

/// All that a file's contents can be kept from, and the list itself.
const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// A close-on-exec descriptor for execveat(2) with AT_EMPTY_PATH: this program's file on a read-only mount
/// of its own, or, for those who may not mount, a sealed copy of it.
///
/// As long as it is open, the mount could be made writable by who has CAP_SYS_ADMIN, and gets at it by way of a stage's /proc/PID/exe: since
/// those are not dumpable, that takes CAP_SYS_PTRACE, too, and both in the host's user namespace. **To be closed before the command is
/// done** all the same. Closing unmounts it, and what is not mounted can be changed by nobody any more, neither mount_setattr(2) nor
/// open_tree(2) takes it, while what has been executed from it stays on it: read-only for good.
pub fn sealed() -> Result<OwnedFd, Errno> {
    read_only().or_else(|_| copy())
}

/// The file on a read-only mount that is attached nowhere (open_tree(2), Linux 5.2; mount_setattr(2), 5.12).
/// Half the cost of a copy: no page of the program is touched, and none is kept.
fn read_only() -> Result<OwnedFd, Errno> {
    let mount = clone_tree(CWD, EXE, Reach::One, false)?;
    set_attributes(&mount, Reach::One, &Attributes::READ_ONLY)?;
    Ok(mount)
}

/// A sealed memfd with this program, or its own file, if that is one already. Seals refuse CAP_SYS_ADMIN, too.
fn copy() -> Result<OwnedFd, Errno> {
    let exe = fs::openat(CWD, EXE, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // EINVAL: not on a file system that has seals.
    if fs::fcntl_get_seals(&exe).is_ok_and(|seals| seals.contains(SEALS)) {
        return Ok(exe);
    }
    let memfd = memfd()?;
    // Of the ways to copy 150 KB this was the fastest: 21 µs with creation and seals, read and write 25,
    // mmap and write 27, mmap of both 70; copy_file_range(2) does not go from one kind of file system to
    // another.
    while fs::sendfile(&memfd, &exe, None, COUNT)? > 0 {}
    fs::fcntl_add_seals(&memfd, SEALS)?;
    Ok(memfd)
}

/// Most bytes that one sendfile(2) copies.
const COUNT: usize = 0x7fff_f000;

/// memfd_create(2), executable. Kernels before 6.3 have no flag for that, and need none.
fn memfd() -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match fs::memfd_create(c"minirunc", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => fs::memfd_create(c"minirunc", flags),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::{AsFd, AsRawFd};
    use std::fs::{OpenOptions, metadata, read, set_permissions};
    use std::io::Write;
    use std::string::String;

    fn path(fd: &OwnedFd) -> String {
        std::format!("/proc/self/fd/{}", fd.as_raw_fd())
    }

    #[test]
    fn the_copy_is_this_program_and_cannot_be_changed() {
        let fd = copy().unwrap();
        assert!(read(path(&fd)).unwrap() == read("/proc/self/exe").unwrap());
        assert_eq!(rustix::io::pwrite(&fd, b"x", 0), Err(Errno::PERM));
        assert_eq!(fs::ftruncate(&fd, 0), Err(Errno::PERM));
        assert_eq!(fs::ftruncate(&fd, 1 << 30), Err(Errno::PERM));
        assert_eq!(fs::fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE), Err(Errno::PERM));
        // Opened anew it is no more writable than before.
        if let Ok(mut again) = OpenOptions::new().write(true).open(path(&fd)) {
            assert_eq!(again.write(b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
    }

    #[test]
    fn a_mount_that_is_closed_stays_read_only_even_for_root() {
        let mount = match read_only() {
            Err(Errno::PERM) => {
                std::println!("skipped: takes CAP_SYS_ADMIN");
                return;
            }
            other => other.unwrap(),
        };
        let own = std::ffi::CString::new(path(&mount)).unwrap();
        let exe = fs::openat(CWD, own.as_c_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        drop(mount);
        // Not by opening: while this program runs, that is ETXTBSY on any mount.
        let same = metadata("/proc/self/exe").unwrap().permissions();
        let denied = set_permissions(path(&exe), same).unwrap_err();
        assert_eq!(denied.raw_os_error(), Some(libc::EROFS));
        let writable = Attributes::new(0, libc::MOUNT_ATTR_RDONLY);
        assert_eq!(set_attributes(&exe, Reach::One, &writable), Err(Errno::INVAL));
        assert_eq!(clone_tree(exe.as_fd(), c"", Reach::One, false).err(), Some(Errno::INVAL));
    }
}
