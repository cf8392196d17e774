//! Network links by name (netdevice(7)).

#![allow(unsafe_code)]

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// `struct ifreq` with flags in its union.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

/// ioctl(2) `SIOCSIFFLAGS`: sets a link's `IFF_*`, through any socket in its network namespace.
pub fn set_flags(socket: impl AsFd, link: &CStr, flags: i16) -> Result<(), Errno> {
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags, rest: [0; 22] };
    request.name.iter_mut().zip(link.to_bytes()).for_each(|(place, &byte)| *place = byte);
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one `struct ifreq`, which on 64-bit machines has 40 bytes.
    super::check(unsafe { sc::syscall!(IOCTL, socket, libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}

const _: () = assert!(size_of::<Request>() == 40);
