//! Device nodes, and the rules of the device controller.

use core::ffi::CStr;

use super::{kind, noun::noun};

noun! {
    /// A node to make (`linux.devices`), defaults included.
    kind::DEVICE => Device<'a> {
        /// Absolute path inside the root.
        1 path: &'a CStr = Path "path",
        /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO`.
        2 file_type: u32 as NodeType,
        /// Major number; 0 for a FIFO.
        3 major: u32,
        /// Minor number; 0 for a FIFO.
        4 minor: u32,
        /// Permission bits.
        5 mode: u32 as Mode,
        /// Owner inside the container.
        6 uid: u32 = Zero "uid",
        /// Group inside the container.
        7 gid: u32 = Zero "gid",
    }
}

/// `access` of [`DeviceRule`]: make the node (`m`), as the kernel numbers it (`BPF_DEVCG_ACC_MKNOD`).
pub const MKNOD: u32 = 1;
/// `access` of [`DeviceRule`]: read (`r`).
pub const READ: u32 = 2;
/// `access` of [`DeviceRule`]: write (`w`).
pub const WRITE: u32 = 4;

noun! {
    /// One entry of `linux.resources.devices`, applied in order.
    kind::DEVICE_RULE => DeviceRule {
        /// Allow, or deny.
        1 allow: bool as Allow = Plain "allow",
        /// `a`, `b` or `c`, as a byte.
        2 file_type: u32 as RuleType,
        /// Major number; none: any.
        3 major: Option<u32> = Any "major",
        /// Minor number; none: any.
        4 minor: Option<u32> = Any "minor",
        /// [`MKNOD`], [`READ`] and [`WRITE`].
        5 access: u32 as Access,
    }
}
