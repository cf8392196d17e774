//! The program: what the kernel started is either one of nsenter's stages or a command.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod copy;

use core::ffi::{c_char, c_int};

use minirunc::sys::arguments::Strings;
use minirunc::{cmd, init, pid1};

// Nothing else asks for musl, whose start-up code calls `main`.
#[link(name = "c", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {
    fn abort() -> !;
}

/// Called by musl's crt1 with what execve(2) left on the stack.
#[unsafe(no_mangle)]
extern "C" fn main(
    _count: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    // SAFETY: crt1 hands over the vectors that the kernel made: null-terminated, and there for good.
    let (arguments, environment) = unsafe { (Strings::new(arguments), Strings::new(environment)) };
    let status = match arguments.stage() {
        Some((socket, name)) => init::main(socket, name),
        None => cmd::main(pid1::main(arguments, environment), environment),
    };
    status.into()
}

/// Reached by a bug only. The stages' parent sees the end of file and says which one it was.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort(3) takes nothing and does not return.
    unsafe { abort() }
}
