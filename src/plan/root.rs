//! The root filesystem, and what is hidden in it.

use core::ffi::CStr;

use super::{kind, noun::noun};

noun! {
    /// The container's root (`root` and `linux.rootfsPropagation`).
    kind::ROOT => Root<'a> {
        /// Absolute path on the host.
        1 path: &'a CStr,
        /// Remount read-only at the end.
        2 readonly: bool,
        /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`, with `MS_REC` for the `r` forms.
        3 propagation: u32 as Propagation,
        /// `--no-pivot`: move the root over `/` and chroot, for a host that runs from a ramdisk.
        4 no_pivot: bool,
    }
}
