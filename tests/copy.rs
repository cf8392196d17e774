//! The program's own memcpy(3) and memmove(3), which take the C library's place in this test as they do there.

#[cfg(target_arch = "x86_64")]
#[path = "../src/copy.rs"]
mod copy;

use std::ffi::c_void;

unsafe extern "C" {
    fn memcpy(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
    fn memmove(to: *mut c_void, from: *const c_void, count: usize) -> *mut c_void;
}

/// Bytes that tell where they were.
fn pattern() -> [u8; 256] {
    std::array::from_fn(|at| at as u8)
}

fn moved(from: usize, to: usize, count: usize) -> [u8; 256] {
    let before = pattern();
    std::array::from_fn(|at| if (to..to + count).contains(&at) { before[at - to + from] } else { before[at] })
}

#[test]
fn memmove_moves_each_count_by_each_distance_and_nothing_beside() {
    for count in 0..=80 {
        for to in 8..=168 {
            let (mut bytes, from) = (pattern(), 88);
            let start = bytes.as_mut_ptr();
            // SAFETY: 168 + 80 < 256.
            let result = unsafe { memmove(start.add(to).cast(), start.add(from).cast(), count) };
            assert_eq!(result, start.wrapping_add(to).cast());
            assert!(bytes == moved(from, to, count), "{count} bytes from {from} to {to}");
        }
    }
}

#[test]
fn memcpy_copies_each_count_and_nothing_beside() {
    for count in 0..=120 {
        let mut bytes = pattern();
        let start = bytes.as_mut_ptr();
        // SAFETY: 4 + 120 < 128, 128 + 120 < 256.
        let result = unsafe { memcpy(start.add(128).cast(), start.add(4).cast(), count) };
        assert_eq!(result, start.wrapping_add(128).cast());
        assert!(bytes == moved(4, 128, count), "{count} bytes");
    }
}
