//! Memory that is not on the stack: anonymous mappings, kept until the process ends.

#![allow(unsafe_code)]

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// mmap(2) of zeroed private memory. Pages cost only when they are touched, so ask for the most that
/// may be needed. It is never unmapped: the process is short-lived.
pub fn anonymous(len: usize) -> Result<&'static mut [u8], Errno> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a fresh mapping at an address of the kernel's choice; `len` bytes, readable, writable,
    // zeroed, and nobody else knows it or unmaps it.
    unsafe {
        let start = mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags)?;
        Ok(core::slice::from_raw_parts_mut(start.cast(), len))
    }
}
