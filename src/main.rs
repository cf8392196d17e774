//! The program: hand the arguments to `cmd`, exit with its status.

// The test harness brings std and a main of its own.
#![cfg(not(test))]
#![no_std]
#![no_main]
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int};

use minirunc as _;

// Nothing else in the program names the C library, whose start-up code calls `main`.
#[link(name = "c", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {
    fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort(3) takes nothing and does not return.
    unsafe { abort() }
}

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let text = "minirunc-static: run: not built yet\n";
    // SAFETY: static bytes; a failed write changes nothing but the message.
    let _ = rustix::io::write(unsafe { rustix::stdio::stderr() }, text.as_bytes());
    1
}
