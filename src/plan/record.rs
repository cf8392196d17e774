//! Which process a container is. Not of the plan: it is kept behind it.

use core::ffi::CStr;

use super::{kind, noun::noun};

noun! {
    /// Init, and since when it is there. Its status is not in it: that is asked of the kernel each time.
    kind::RECORD => Record<'a> {
        /// In the runtime's pid namespace.
        1 pid: u32,
        /// What no other process of that pid has.
        2 start: u64,
        /// RFC 3339.
        3 created: &'a CStr,
    }
}
