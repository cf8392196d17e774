//! Sockets that have a path, reached by way of a descriptor: `sun_path` holds 108 bytes (unix(7)), a path 4096.

use core::ffi::CStr;
use core::fmt::Write;

use nsenter::sync::Channel;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{Context, Result};
use crate::text::{PathBuf, shown};

/// A datagram socket of this name in a directory, with this mode: the name takes over the one that the socket has when it is
/// bound, so that nobody else may ever send to it.
pub fn bind(directory: BorrowedFd<'_>, name: &str, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let socket = new(SocketType::DGRAM)?;
    rustix::fs::fchmod(&socket, mode)?;
    rustix::net::bind(&socket, &address(directory, name)?)?;
    Ok(socket)
}

/// Connects to the socket that `file` was opened from (`O_PATH`).
pub fn connect(file: impl AsFd, kind: SocketType) -> rustix::io::Result<OwnedFd> {
    let socket = new(kind)?;
    rustix::net::connect(&socket, &address(file.as_fd(), "")?)?;
    Ok(socket)
}

/// Connects to a datagram socket by a path, or by an abstract name with `@` for its first byte (sd_notify(3)).
pub fn reach(address: &CStr) -> rustix::io::Result<OwnedFd> {
    let Some(name) = address.to_bytes().strip_prefix(b"@") else {
        let place = rustix::fs::openat(CWD, address, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        return connect(place, SocketType::DGRAM);
    };
    let socket = new(SocketType::DGRAM)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
    Ok(socket)
}

/// Connects to the caller's socket of this path (AF_UNIX, SOCK_STREAM).
pub fn find(path: &CStr) -> Result<OwnedFd> {
    let place = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    place.and_then(|place| connect(place, SocketType::STREAM)).context("connect", shown(path))
}

/// Hands a descriptor to the caller, in the form that runc has for it: one message, one name, one descriptor.
pub fn hand(socket: &OwnedFd, name: &str, fd: &OwnedFd) -> Result<()> {
    Ok(Channel::new(socket.as_raw_fd()).send_with_fds(name.as_bytes(), &[fd.as_raw_fd()])?)
}

fn new(kind: SocketType) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
}

fn address(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<SocketAddrUnix> {
    let mut path = PathBuf::new();
    let slash = if name.is_empty() { "" } else { "/" };
    let _ = write!(path, "/proc/self/fd/{}{slash}{name}", at.as_raw_fd());
    SocketAddrUnix::new(path.as_cstr())
}
