//! What the benchmark's containers run: the least that a process can do.

#![no_main]
#![allow(unsafe_code)]

#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    0
}
