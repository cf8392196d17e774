//! What the container sees: its mounts, devices, root, and what is hidden from it.
//!
//! Everything before [`enter`] works from one `O_PATH` descriptor of the root, because the image and its
//! volumes are not trusted and may change under us; everything after it works inside the root. Mounts are
//! made detached, finished, and only then put in place, onto a descriptor of their destination.
//!
//! Called by init only, in this order: [`isolate`], [`mounts`], [`devices`], (hooks), [`enter`], [`console`],
//! [`seal`], which makes /proc/sys read-only. Modes are meant as they are written: init has no umask meanwhile.

mod call;
mod cgroup;
mod copy;
mod device;
mod filesystem;
mod mask;
mod mount;
pub mod overlay;
mod pivot;
mod resolve;

#[cfg(test)]
mod tests;

use core::cell::Cell;
use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

pub use device::{console, devices};
pub use mask::seal;
pub use mount::mounts;
pub use pivot::{enter, isolate, leave_first};

/// The container's root, seen from outside.
pub struct Root<'a> {
    /// `O_PATH`: the root's own mount.
    directory: OwnedFd,
    /// `CLONE_NEW*` of all namespaces that are the container's, made or joined.
    namespaces: u32,
    /// `linux.mountLabel`: the SELinux context of whatever is on a filesystem made for the container.
    label: Option<&'a CStr>,
    /// What /dev is comes from outside: a bind was mounted there.
    bound_devices: Cell<bool>,
    /// No cgroup keeps the container from devices: no mount but those that are filled here may have any.
    nodev: bool,
}

impl Root<'_> {
    /// Whether a namespace of this kind is the container's own.
    fn owns(&self, flag: i32) -> bool {
        self.namespaces & flag as u32 != 0
    }
}

impl AsFd for Root<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}
