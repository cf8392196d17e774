//! Memory that is not on the stack: anonymous mappings, kept until the process ends.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Memory that small requests share, by words.
struct Shared([UnsafeCell<u64>; 256]);

// SAFETY: `small` hands each word out once.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared([const { UnsafeCell::new(0) }; 256]);
static HANDED_OUT: AtomicUsize = AtomicUsize::new(0);

/// A part of [`SHARED`], if it is not too much of it: for lists of a few pointers, of which each would cost a call and a page.
fn small(len: usize) -> Option<&'static mut [u8]> {
    let words = Some(len.div_ceil(size_of::<u64>())).filter(|words| words * 4 <= SHARED.0.len())?;
    let first = HANDED_OUT.fetch_add(words, Ordering::Relaxed);
    let place = SHARED.0.get(first..first + words).filter(|place| !place.is_empty())?;
    // SAFETY: so many words from there on are there, zeroed, and by the counter nobody else's.
    Some(unsafe { core::slice::from_raw_parts_mut(place.as_ptr().cast_mut().cast(), len) })
}

/// Zeroed private memory, aligned for words: mmap(2), unless it is small. Pages cost only when they are touched, so ask for the most
/// that may be needed. It is never unmapped: the process is short-lived.
pub fn anonymous(len: usize) -> Result<&'static mut [u8], Errno> {
    if let Some(memory) = small(len) {
        return Ok(memory);
    }
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a fresh mapping at an address of the kernel's choice; `len` bytes, readable, writable,
    // zeroed, and nobody else knows it or unmaps it.
    unsafe {
        let start = mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags)?;
        Ok(core::slice::from_raw_parts_mut(start.cast(), len))
    }
}
