//! What the containers run whose end is timed: prints CLOCK_MONOTONIC in nanoseconds, and exits.

#![no_main]
#![allow(unsafe_code)]

#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut line = [b'0'; 21];
    line[20] = b'\n';
    // SAFETY: buffers that live here.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
        let mut rest = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
        for place in line[..20].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        libc::write(1, line.as_ptr().cast(), line.len());
    }
    0
}
