//! Mounts by descriptor (open_tree(2), move_mount(2), mount_setattr(2)); what rustix has under a good name is used from there.

#![allow(unsafe_code)]

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Result;
use rustix::mount::{FsMountFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

/// `struct mount_attr`: what mount_setattr(2) changes.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`; 0: unchanged.
    pub propagation: u64,
    /// A user namespace's descriptor, for `MOUNT_ATTR_IDMAP`.
    userns: u64,
}

impl Attributes {
    /// `MOUNT_ATTR_RDONLY` and nothing else.
    pub const READ_ONLY: Self = Self::new(libc::MOUNT_ATTR_RDONLY, 0);

    /// Attributes to set and to clear.
    pub const fn new(set: u64, clear: u64) -> Self {
        Self { set, clear, propagation: 0, userns: 0 }
    }

    /// Owners as `users`, a user namespace, maps them (`MOUNT_ATTR_IDMAP`).
    pub fn idmap(users: BorrowedFd<'_>) -> Self {
        let userns = users.as_raw_fd().unsigned_abs().into();
        Self { set: libc::MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns }
    }

    /// A propagation type (`MS_*`, without `MS_REC`).
    pub const fn propagation(kind: u64) -> Self {
        Self { set: 0, clear: 0, propagation: kind, userns: 0 }
    }
}

/// How far an operation on a mount reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This mount.
    One,
    /// This mount and all below.
    Tree,
}

/// mount_setattr(2) (Linux 5.12) on the mount that `mount` is an open file or descriptor of.
pub fn set_attributes(mount: impl AsFd, reach: Reach, attributes: &Attributes) -> Result<()> {
    let flags = match reach {
        Reach::One => libc::AT_EMPTY_PATH,
        Reach::Tree => libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
    };
    let mount = mount.as_fd().as_raw_fd();
    let (attributes, size) = (core::ptr::from_ref(attributes), size_of::<Attributes>());
    // SAFETY: the kernel reads a NUL-terminated path and `size` bytes of the structure, and writes nothing.
    let done = unsafe { sc::syscall!(MOUNT_SETATTR, mount, c"".as_ptr(), flags, attributes, size) };
    super::check(done).map(drop)
}

/// open_tree(2) with `OPEN_TREE_CLONE`: a detached copy of the mount at `path`; an empty path is `directory` itself.
pub fn clone_tree(directory: BorrowedFd<'_>, path: &CStr, reach: Reach, nofollow: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_EMPTY_PATH, path.is_empty());
    flags.set(OpenTreeFlags::AT_RECURSIVE, reach == Reach::Tree);
    flags.set(OpenTreeFlags::AT_SYMLINK_NOFOLLOW, nofollow);
    rustix::mount::open_tree(directory, path, flags)
}

/// move_mount(2) of a mount onto an open file or directory: no path is looked up.
pub fn attach(mount: impl AsFd, place: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", place, c"", flags)
}

/// The same onto what has a name in an open directory; a link is not followed.
pub fn attach_at(mount: impl AsFd, directory: impl AsFd, name: &CStr) -> Result<()> {
    rustix::mount::move_mount(mount, c"", directory, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// fsmount(2): a detached mount of a configured filesystem, with `MOUNT_ATTR_*` set.
pub fn detached(filesystem: impl AsFd, set: u64) -> Result<OwnedFd> {
    let attributes = MountAttrFlags::from_bits_retain(set as u32);
    rustix::mount::fsmount(filesystem, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_the_kernels_first_version() {
        assert_eq!(size_of::<Attributes>(), 32); // MOUNT_ATTR_SIZE_VER0
    }
}
